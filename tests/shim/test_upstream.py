# mypy: disable-error-code="misc, no-untyped-call, name-defined, assignment, arg-type"
"""oslo.rootwrap's own tests, from its distribution, run against our executables.

Its functional tests start what `self.cmd` and the client's command name; here these are ours. Its
unit tests of filters ask our decisions where they ask oslo.rootwrap's.
"""

import itertools
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("testtools", reason="oslo.rootwrap's tests need testtools and fixtures")
pytest.importorskip("fixtures", reason="oslo.rootwrap's tests need testtools and fixtures")

from oslo_rootwrap import client as oslo_client
from oslo_rootwrap import filters, wrapper
from oslo_rootwrap.tests import test_functional, test_rootwrap

from privmigrate.rootwrap.policy import PRIVSEP_HELPER
from privmigrate.shim import client, client_api
from privmigrate.shim.caller import Caller
from privmigrate.shim.index import _layout
from privmigrate.shim.plan import KINDS, Planned

PROJECT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {project!r})
from privmigrate.shim.{module} import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def _trusted_temporary(trusted_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their configurations lie in temporary folders, which only we may write."""
    monkeypatch.setattr(tempfile, "tempdir", str(trusted_dir))


@pytest.fixture(autouse=True, scope="module")
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("programs")
    for name, module in (("one", "rootwrap_main"), ("daemon", "rootwrap_daemon_main")):
        path = folder / name
        path.write_text(PROGRAM.format(python=sys.executable, project=str(PROJECT), module=module))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    os.environ["PRIVMIGRATE_TEST_PROGRAMS"] = str(folder)
    yield
    del os.environ["PRIVMIGRATE_TEST_PROGRAMS"]


def program(name: str) -> str:
    return str(Path(os.environ["PRIVMIGRATE_TEST_PROGRAMS"]) / name)


class TestOneShot(test_functional.RootwrapTest):
    def setUp(self) -> None:
        super().setUp()
        self.cmd = [program("one"), self.config_file]


class TestDaemon(test_functional.RootwrapDaemonTest):
    def setUp(self) -> None:
        super().setUp()
        self.client = oslo_client.Client([program("daemon"), self.config_file])


class TestOurClient(test_functional.functional_base._FunctionalBase):
    def setUp(self) -> None:
        super().setUp()
        self.client = client_api.Client([program("daemon"), self.config_file])
        self.addCleanup(self.client.close)

    def execute(self, cmd: list[str], stdin: bytes | None = None) -> tuple[int, str, str]:
        return self.client.execute(cmd, stdin=stdin)

    def test_run_once(self) -> None:
        self._test_run_once(expect_byte=False)

    def test_run_with_stdin(self) -> None:
        self._test_run_with_stdin(expect_byte=False)


def rules_of(filters: list[Any]) -> list[Planned]:
    """oslo.rootwrap's filter objects as an index holds them."""
    planned = []
    for each in filters:
        kind = KINDS[type(each).__name__]
        args = (each.file_path,) if kind == "F" else tuple(each.args)
        planned.append(
            Planned(replace(PRIVSEP_HELPER, name=each.name), kind, each.exec_path, each.run_as,
                    args, None, "", setuid=False, execution="child", why_not="")
        )  # fmt: skip
    return planned


def index_of(filters: list[Any], exec_dirs: list[str]) -> client.Index:
    header = (client.MAGIC, client.sre_id(), "", client.PART.join(exec_dirs), "1024", "", "", "")
    return client.Index(_layout(header, rules_of(filters), ("", "", "")))


def our_match_filter(
    filters: list[Any], argv: list[str], exec_dirs: list[str] | None = None
) -> Any:
    """What their tests get in place of wrapper.match_filter."""
    found = client.find(index_of(filters, exec_dirs or []), argv, Caller(dict(os.environb)))
    if found is None:
        raise wrapper.NoFilterMatched
    match = filters[int(found.rule[client.POSITION])]
    if not found.executable:
        raise wrapper.FilterMatchNotExecutable(match=match)
    match.real_exec = found.executable
    return match


def our_match(self: Any, argv: list[str] | None) -> bool:
    """What their tests get in place of each filter's match."""
    index = index_of([self], [])
    rules = (rule for bucket in range(index.buckets) for rule in rules_in(index, bucket))
    rule = next(rules, None)
    if rule is None:
        return False  # one that can match nothing is in no bucket
    return client.matches(index, rule, argv or [], Caller(dict(os.environb)))


def rules_in(index: client.Index, bucket: int) -> list[list[str]]:
    keys = (str(number) for number in itertools.count())
    return index.bucket(next(k for k in keys if client.hash_key(k) % index.buckets == bucket))


class TestUnits(test_rootwrap.RootwrapTestCase):
    """Their unit tests of filters and of matching."""

    # They replace functions of `os` that the client does not go through; test_decide.py has real
    # processes whose executables were deleted, renamed and replaced.
    test_KillFilter_deleted_exe = None  # noqa: N815
    test_KillFilter_renamed_exe = None  # noqa: N815
    test_KillFilter_upgraded_exe = None  # noqa: N815

    def setUp(self) -> None:
        super().setUp()
        for name in KINDS:
            if "match" in vars(getattr(filters, name)):
                patcher = mock.patch.object(getattr(filters, name), "match", our_match)
                patcher.start()
                self.addCleanup(patcher.stop)
        patcher = mock.patch.object(wrapper, "match_filter", our_match_filter)
        patcher.start()
        self.addCleanup(patcher.stop)
