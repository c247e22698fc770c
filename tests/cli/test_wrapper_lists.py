"""Calls through a project's own wrapper: its own call becomes an entrypoint's, and is proven."""

import importlib

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep.commands import Command
from tests.cli.services import PACKAGE, Make, Service

FILTERS = "ctl: CommandFilter, ctl, root\nlvs: EnvFilter, env, root, LC_ALL=C, lvs\n"
DRIVER = """\
    import logging

    from svc import utils

    LOG = logging.getLogger(__name__)


    class Driver:

        def _ctl(self, target, words, **kwargs):
            codes = kwargs.pop('check_exit_code', 0)
            out, err = utils.execute('ctl', '-t', target, *words, run_as_root=True,
                                     check_exit_code=codes)
            LOG.debug('ctl %s: %s', words, out)
            return out, err

        def show(self, target):
            return self._ctl(target, ['show'])

        def create(self, name):
            words = ['--op', 'new']
            if name:
                words += ['-n', name]
            self._ctl('fixed', words, check_exit_code=[0, 3])

        def update(self, key, value, **kwargs):
            return self._again('--op', 'update', key, value, **kwargs)

        def _again(self, *words, **kwargs):
            return self._ctl('again', words, **kwargs)
    """


def command_of(service: Service, monkeypatch: pytest.MonkeyPatch) -> Command[...]:
    """The only command that was generated, imported."""
    monkeypatch.syspath_prepend(str(service.folder))
    (name,) = (
        file.removesuffix(".py") for file, text in service.generated().items() if "\ndef " in text
    )
    found = importlib.import_module(f"{PACKAGE}.{name}").ctl.function
    assert isinstance(found, Command)
    return found


@pytest.fixture
def service(make_service: Make, capsys: pytest.CaptureFixture[str]) -> Service:
    made = make_service(FILTERS, driver=DRIVER)
    assert made.convert() in {0, 3}
    said = capsys.readouterr()
    assert (
        "calls: 3, of which 0 have a typed entrypoint, 0 one that takes the command line as a "
        "list, 3 are made through 1 wrapper whose own call has such a one, 0 stay"
    ) in said.out + said.err
    return made


def test_its_own_call_is_replaced_and_its_callers_stay(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    before = service.text("driver")
    assert service.rewrite() == 0
    said = capsys.readouterr().out
    assert (
        "3 of 3 calls in 1 file: 0 typed, 0 with a checked list, 3 through 1 wrapper; 0 left"
        in (said)
    )
    after = service.text("driver")
    assert ".policy(check_exit_code=codes)" in after
    assert "'ctl', '-t', target, *words" in after
    assert "utils" not in after
    rest = before.partition("LOG.debug")[2]
    assert rest
    assert after.endswith(rest)


def test_it_is_proven_for_every_caller(service: Service) -> None:
    assert service.rewrite("--check", "--prove", "proofs") == 1
    said = service.proven()
    assert "3 passed" in said, said
    # a proof that could not fail would prove nothing
    (proof,) = (service.folder / "proofs").glob("test_*driver.py")
    text = proof.read_text()
    assert "def wrapper_1(self, target, words, **kwargs):" in text
    assert "def wrapper_2(self, target, words, **kwargs):" in text
    first = text.replace("words = ['--op', 'new']", "words = ['--op', 'old']")
    assert first != text
    proof.write_text(first)
    said = service.proven()
    assert "1 failed, 2 passed" in said, said
    proof.write_text(text.replace("policy(check_exit_code=codes)", "policy(check_exit_code=7)"))
    said = service.proven()
    assert "3 failed" in said, said


@pytest.mark.parametrize(
    "words",
    [
        "ctl -t anything show",
        "ctl -t fixed --op new",
        "ctl -t fixed --op new -n name",
        "ctl -t again --op update key value",
    ],
)
def test_what_its_callers_give_is_accepted(
    words: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_of(service, monkeypatch)
    (planned,) = command.plan(words.split())
    assert planned.argv[1:] == tuple(words.split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        "ctl -t other --op new",
        "ctl -t fixed show --op new",
        "ctl -t fixed --op new -n name more",
        "ctl -t fixed --op new -n",
        "ctl -t again --op update key",
        "ctl -t again --op delete key value",
        "ctl -t -x show",
        "ctl -t",
        "ctl",
        "sh -c id",
        "",
    ],
)
def test_nothing_else_is(words: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter allows ctl with any words; the entrypoint does not."""
    command = command_of(service, monkeypatch)
    with pytest.raises(Refused):
        command.plan(words.split())


def test_its_filter_is_wide_no_more(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.convert("--check") == 0
    said = capsys.readouterr()
    assert "1 are replaced by what their calls need" in said.out + said.err
    assert "0 stay wide" in said.out + said.err
    assert not any("Wide" in text for text in service.generated().values())


def test_again_nothing_changes(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The wrapper passes nothing on any more: what its callers gave is remembered."""
    package = service.generated()
    package.pop("privmigrate.lock", None)
    assert service.rewrite() == 0
    once = service.text("driver")
    capsys.readouterr()
    assert service.rewrite("--check") == 0
    assert service.convert() in {0, 3}
    said = capsys.readouterr()
    assert "3 more have been replaced" in said.out + said.err
    again = service.generated()
    again.pop("privmigrate.lock", None)
    assert again == package
    assert service.text("driver") == once


def test_what_no_filter_allows_of_it_fails_as_before(
    make_service: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """One caller's command has no filter: it is told, and is in no entrypoint."""
    made = make_service(
        "ctl: RegExpFilter, ctl, root, ctl, -t, .*, show\n",
        driver=DRIVER.replace("'--op', 'update', key, value", "'show'"),
    )
    assert made.convert() in {0, 3}
    capsys.readouterr()
    assert made.rewrite("--prove", "proofs") == 0
    said = capsys.readouterr().out
    assert "svc/driver.py:24:9: left: no rule allows it: it fails today (no-rule)" in said
    assert (
        "2 of 3 calls in 1 file: 0 typed, 0 with a checked list, 2 through 1 wrapper; 1 left"
        in (said)
    )
    assert "2 passed" in (proven := made.proven()), proven


def test_where_no_filter_allows_any_of_it_nothing_changes(
    make_service: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_service("lvs: CommandFilter, lvs, root\n", driver=DRIVER)
    assert made.convert() in {0, 3}
    capsys.readouterr()
    before = made.text("driver")
    assert made.rewrite() == 0
    said = capsys.readouterr().out
    assert "0 of 3 calls in 0 files: 0 typed, 0 with a checked list; 3 left" in said
    assert said.count("(no-rule)") == 3
    assert made.text("driver") == before


def test_a_wrapper_that_is_left_says_why(
    make_service: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (
        "\n\n    class Other(Driver):\n\n        def _ctl(self, target, words):\n            pass\n"
    )
    made = make_service(FILTERS, driver=DRIVER.rstrip() + more)
    assert made.convert() in {0, 3}
    capsys.readouterr()
    assert made.rewrite() == 0
    said = capsys.readouterr().out
    assert "Other._ctl overrides Driver._ctl" in said
    assert "0 of 3 calls" in said
    assert "; 3 left" in said


def test_a_list_with_variables_in_front(
    make_service: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """A constant of several values, which the callers put in front: the list is taken as built."""
    made = make_service(
        FILTERS,
        lvm="""\
        from svc import utils


        class Lvm:
            PREFIX = ['env', 'LC_ALL=C']

            def _run(self, cmd, run_as_root=True):
                out, err = utils.execute(*cmd, run_as_root=run_as_root)
                return out, err

            def show(self, group):
                cmd = Lvm.PREFIX + ['lvs', '--noheadings', group]
                return self._run(cmd)

            def all(self):
                return self._run(Lvm.PREFIX + ['lvs', '-a'])

            @staticmethod
            def quiet():
                Lvm.PREFIX = ['env', 'LC_ALL=C']
        """,
    )
    assert made.convert() in {0, 3}
    capsys.readouterr()
    assert made.rewrite("--prove", "proofs") == 0
    said = capsys.readouterr().out
    assert (
        "2 of 2 calls in 1 file: 0 typed, 0 with a checked list, 2 through 1 wrapper; 0 left"
        in (said)
    )
    assert ".policy(run_as_root=run_as_root)(cmd)" in made.text("lvm")
    assert "2 passed" in (proven := made.proven()), proven


def test_a_call_that_is_native_stays(
    make_service: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list is no process to name: what is done without a process is not taken as one."""
    made = make_service(
        "kill: KillFilter, root, /usr/sbin/radvd, -9\n",
        kills="""\
        from svc import utils


        class Kills:
            def _run(self, cmd):
                out, err = utils.execute(*cmd, run_as_root=True)
                return out

            def stop(self, pid):
                return self._run(['kill', '-9', pid])
        """,
    )
    assert made.convert() in {0, 3}
    capsys.readouterr()
    assert made.rewrite() == 0
    said = capsys.readouterr().out
    assert "0 of 1 calls in 0 files" in said
    assert "; 1 left" in said
