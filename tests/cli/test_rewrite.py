"""``privmigrate rewrite``, from a service on rootwrap to one on entrypoints, and proven."""

import json
import subprocess
from pathlib import Path

import pytest

from privmigrate.cli import main
from tests.cli.services import run_proofs

FILTERS = """\
[Filters]
chmod: CommandFilter, chmod, root
lvs: EnvFilter, env, root, LC_ALL=C, lvs
tee: CommandFilter, tee, root
rm: CommandFilter, rm, root
"""
UTILS = """\
from oslo_concurrency import processutils


def execute(*cmd, **kwargs):
    if kwargs.get('run_as_root') and 'root_helper' not in kwargs:
        kwargs['root_helper'] = 'sudo svc-rootwrap /etc/svc/rootwrap.conf'
    return processutils.execute(*cmd, **kwargs)
"""
DRIVER = '''\
import os

from svc import utils

ROOT = '/var/lib/svc'


class Driver:

    def share(self, name):
        """Open a share to everybody."""
        # everybody
        utils.execute('chmod', '777', os.path.join(ROOT, name), run_as_root=True)

    def sizes(self, group):
        cmd = ['env', 'LC_ALL=C', 'lvs', '--noheadings']
        cmd += ['--units', 'g']
        cmd.append(group)
        out, _err = utils.execute(*cmd, run_as_root=True, check_exit_code=[0, 5], attempts=3)
        return out

    def write(self, path, text):
        utils.execute('tee', path, process_input=text, run_as_root=self.as_root)

    def remove(self, path, where):
        utils.execute('rm', '-f', path, run_as_root=True, cwd=where)
'''
TEST = """\
from unittest import mock

from svc import driver


class TestDriver:
    @mock.patch.object(driver.utils, 'execute')
    def test_share(self, execute):
        driver.Driver().share('x')
        execute.assert_called_once_with('chmod', '777', '/var/lib/svc/x', run_as_root=True)

    def test_sizes(self):
        self.execute.assert_called_once_with(
            'env', 'LC_ALL=C', 'lvs', '--noheadings', '--units', 'g', 'vg', run_as_root=True)
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose package of entrypoints is made."""
    filters = tmp_path / "etc" / "svc" / "rootwrap.d"
    filters.mkdir(parents=True)
    (filters / "svc.filters").write_text(FILTERS)
    package = tmp_path / "svc"
    (package / "tests").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "utils.py": UTILS,
        "driver.py": DRIVER,
        "tests/__init__.py": "",
        "tests/test_driver.py": TEST,
    }.items():
        (package / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    words = ["--callsites", "svc", "--package", "svc.privileged"]
    assert main(["convert", "etc/svc/rootwrap.d", *words]) in {0, 3}
    return tmp_path


REWRITE = ["rewrite", "svc", "--to", "svc.privileged"]


def texts(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.py")
        if "__pycache__" not in str(path)
    }


def test_calls_are_rewritten_and_the_report_says_what_stays(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(REWRITE) == 0
    said = capsys.readouterr()
    driver = (service / "svc" / "driver.py").read_text()
    assert "from svc.privileged import" in driver
    assert "# everybody" in driver
    assert "cmd" not in driver
    assert "utils.execute('rm', '-f', path, run_as_root=True, cwd=where)" in driver
    assert "check_exit_code=[0, 5], attempts=3" in driver
    assert "run_as_root=self.as_root" in driver
    assert "stdin=text" in driver
    assert "svc/driver.py:26:9: left: " in said.out
    assert "svc/driver.py:16: removed: cmd = [" in said.out
    assert "3 of 4 calls in 1 file: 3 typed, 0 with a checked list; 1 left" in said.out
    assert "wrote 2 files" in said.err
    test = (service / "svc" / "tests" / "test_driver.py").read_text()
    assert "mock.patch('svc.privileged.files.chmod" in test
    compile(driver, "driver.py", "exec")
    compile(test, "test_driver.py", "exec")


def test_a_second_run_changes_nothing(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(REWRITE) == 0
    once = texts(service)
    assert main(REWRITE) == 0
    assert main([*REWRITE, "--check"]) == 0
    assert texts(service) == once
    assert "0 of 1 calls in 0 files" in capsys.readouterr().out


def test_control_characters_of_names_do_not_reach_the_terminal(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (service / "svc" / "driver.py").rename(service / "svc" / "driver\x1b[2J.py")
    (service / "svc" / "old.py").write_text("from svc import utils\nutils.execute('\x1b', 'x'\n")
    for words in (["--diff"], ["--check"], []):
        assert main([*REWRITE, *words]) in {0, 1}
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
        assert "driver\\x1b[2J.py" in said.out + said.err


def test_check_and_diff_write_nothing(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = texts(service)
    assert main([*REWRITE, "--check"]) == 1
    assert "3 of 4 calls" in capsys.readouterr().out
    assert main([*REWRITE, "--diff"]) == 0
    shown = capsys.readouterr()
    assert "-        utils.execute('chmod', '777', os.path.join(ROOT, name)" in shown.out
    assert "+++ b/svc/tests/test_driver.py" in shown.out
    assert "3 of 4 calls" in shown.err
    assert texts(service) == before


def test_everything_as_data(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REWRITE, "--check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["typed"] == 3
    assert {each["file"] for each in told["rewritten"]} == {"svc/driver.py"}
    assert [each["line"] for each in told["left"] if each["code"] != "wrapper"] == [26]
    assert [each["file"] for each in told["tests"]] == ["svc/tests/test_driver.py"]
    assert all(each["message"] for each in told["tests_left"])


def test_every_call_is_proven(service: Path) -> None:
    assert main([*REWRITE, "--prove", "proofs"]) == 0
    said = run_proofs()
    assert "3 passed" in said, said
    # a proof that could not fail would prove nothing
    [proof] = Path("proofs").glob("test_*driver.py")
    proof.write_text(proof.read_text().replace("'777'", "'776'"))
    said = run_proofs()
    assert "1 failed, 2 passed" in said, said


def test_the_proof_of_an_unchanged_service_is_written_again(service: Path) -> None:
    assert main([*REWRITE, "--check", "--prove", "proofs"]) == 1
    assert main([*REWRITE, "--check", "--prove", "proofs"]) == 1


@pytest.mark.parametrize("place", ["proofs", "proofs/conftest.py"])
def test_a_proof_takes_no_place_of_a_persons_file(
    service: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (service / place).parent.mkdir(exist_ok=True)
    (service / place).write_text("mine\n")
    before = texts(service)
    assert main([*REWRITE, "--prove", "proofs"]) == 2
    assert f"{place}: error: is no " in capsys.readouterr().err
    assert texts(service) == before
    assert (service / place).read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["rewrite", "svc", "--to", "svc.other"], "there is no such package"),
        (["rewrite", "etc", "--to", "svc.privileged"], "etc: error: no Python file there"),
        (["rewrite", "svc", "--to", "svc"], "was not written by privmigrate"),
        (["rewrite", "svc/tests", "--to", "svc.privileged"], "has no etc/*/rootwrap.d beside it"),
        ([*REWRITE, "--filters", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_message(
    service: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    before = texts(service)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "Traceback" not in said
    assert texts(service) == before


def test_nothing_is_rewritten_where_a_file_cannot_be_read(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class in it may change what a call elsewhere means."""
    (service / "svc" / "large.py").write_text("#" * 4_000_001)
    before = texts(service)
    assert main(REWRITE) == 2
    assert "svc/large.py: error: is larger" in capsys.readouterr().err
    assert texts(service) == before


def test_a_broken_file_does_not_stop_the_others(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = service / "svc" / "broken.py"
    broken.write_text("<<<<<<< HEAD\nutils.execute('rm', run_as_root=True)\n")
    assert main(REWRITE) == 0
    assert "svc/broken.py" in capsys.readouterr().err
    assert broken.read_text().startswith("<<<<<<<")
    assert "privileged" in (service / "svc" / "driver.py").read_text()


def test_a_package_that_is_behind_is_said(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = service / "svc" / "driver.py"
    driver.write_text(driver.read_text().replace("'-f', path", "path").replace(", cwd=where", ""))
    assert main(REWRITE) == 0
    assert "(run privmigrate convert with --callsites first) (missing)" in capsys.readouterr().out
    assert "utils.execute('rm', path, run_as_root=True)" in driver.read_text()


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rewrite", "--help"]) == 0
    assert "privmigrate rewrite manila --to manila.privileged" in capsys.readouterr().out


def test_data_and_a_diff_are_one_value(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The diff is one that git takes, where a file ends without a newline too."""
    driver = service / "svc" / "driver.py"
    driver.write_text(driver.read_text().rstrip("\n"))
    before = texts(service)
    capsys.readouterr()
    assert main([*REWRITE, "--diff", "--json"]) == 0
    assert texts(service) == before
    diff = json.loads(capsys.readouterr().out)["diff"]
    subprocess.run(["git", "apply"], input=diff, text=True, check=True, capture_output=True)
    assert b"files.chmod_777(" in driver.read_bytes()
    assert main([*REWRITE, "--check"]) == 0
