"""A person's word that an executor which is passed in runs on this host, and what it covers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.callsites import Findings, Settings, find_sites
from privmigrate.callsites.site import Reason
from privmigrate.errors import InputError

Analyse = Callable[..., Findings]

SOURCE = """
class Helper:
    def __init__(self, execute, config, name=None):
        self._execute = execute
        self.config = config
        self.name = name
    def exports(self):
        self._execute('exportfs', run_as_root=True)
class Heir(Helper):
    def mounts(self):
        self._execute('mount', run_as_root=True)
class Other:
    def __init__(self, execute):
        self._execute = execute
    def go(self):
        self._execute('ls', run_as_root=True)
def clear(path, execute, again=None):
    execute('shred', path, run_as_root=True)
class Driver:
    def _remote_execute(self, *cmd, **kwargs):
        return ssh(*cmd)
    def helper(self):
        return Helper(self._remote_execute, None)
"""
# by function: what a declaration leaves of the reasons
EVERY = {"Helper.exports", "Heir.mounts", "Other.go", "clear"}
COVERED = {
    "service.module.Helper._execute": {"Helper.exports", "Heir.mounts"},
    "service.module.Helper.execute": {"Helper.exports", "Heir.mounts"},
    "service.module.Heir._execute": {"Heir.mounts"},
    "service.module.Other._execute": {"Other.go"},
    "service.module.clear.execute": {"clear"},
    "elsewhere.module.Helper._execute": set[str](),
}


def reasons(found: Findings) -> dict[str, tuple[Reason, ...]]:
    return {site.function: site.reasons for site in found.sites if not site.via}


def test_what_callers_give_may_be_remote(analyse: Analyse) -> None:
    found = reasons(analyse(SOURCE))
    assert set(found) == EVERY
    assert all(Reason.INJECTED in each for each in found.values())


@pytest.mark.parametrize(("name", "covered"), COVERED.items(), ids=COVERED)
def test_a_declaration_covers_what_it_names_and_its_heirs(
    analyse: Analyse, name: str, covered: set[str]
) -> None:
    found = analyse(SOURCE, Settings(local_injected=(name,)))
    assert {each for each, why in reasons(found).items() if not why} == covered
    for site in found.sites:
        assert site.declared == ((name,) if site.function in covered else ())
        assert site.typable is (site.function in covered)


WRONG = {
    "service.module.Helpr._execute": "there is no class or function service.module.Helpr",
    "service.modul.Helper._execute": "there is no class or function service.modul.Helper",
    "service.module.Helper._exec": "service.module.Helper has no attribute or parameter _exec",
    "service.module.clear.run": "service.module.clear has no parameter run",
    "service.module.Helper.name": "service.module.Helper.name is not passed in",
    "service.module.clear.again": "service.module.clear.again is not passed in",
}


@pytest.mark.parametrize(("name", "message"), WRONG.items(), ids=WRONG)
def test_a_declaration_of_nothing_is_an_error(analyse: Analyse, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        analyse(SOURCE, Settings(local_injected=(name,)))
    assert message in str(error.value)


def test_a_declaration_that_no_call_needs_is_said(analyse: Analyse) -> None:
    [note] = analyse(SOURCE, Settings(local_injected=("service.module.Helper.config",))).diagnostics
    assert note.code == "unused-declaration"
    assert "service.module.Helper.config" in note.message


@pytest.mark.parametrize("pattern", ["*._execute", "service.*.Helper._execute", "all", "", "a b.c"])
def test_everything_cannot_be_declared(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.privmigrate]\nlocal-injected = [\n    "service.module.clear.execute",\n'
        f'    "{pattern}",\n]\n'
    )
    with pytest.raises(InputError, match=r"pyproject\.toml:4: error: local-injected: '") as error:
        find_sites([str(tmp_path)])
    assert "each has to be named" in str(error.value)


def test_the_line_of_a_wrong_name_is_told(tmp_path: Path) -> None:
    package = tmp_path / "service"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "module.py").write_text(SOURCE)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.privmigrate]\n"
        'local = ["service.module.Helper.run"]\n'
        "local-injected = [\n"
        "    'service.module.Helper._execute',\n"
        "    'service.module.Helper.run',\n"
        "]\n"
    )
    with pytest.raises(InputError, match=r"pyproject\.toml:5: error: .* has no attribute") as error:
        find_sites([str(package)])
    assert str(error.value).count("\n") == 0
    # of a part of the sources, nothing is said about the rest
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    assert find_sites([str(other)]).sites == ()
