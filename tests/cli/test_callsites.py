"""``privmigrate callsites``: the table, the reports, the data, and the exit codes."""

import argparse
import json
import textwrap
from pathlib import Path

import pytest

from privmigrate.cli import callsites
from tests.cli.conftest import Run, Subcommand
from tests.conftest import PROJECT

MODULE = """
from oslo_concurrency import processutils

def look(path, quiet):
    cmd = ['ls', '-l']
    if quiet:
        cmd.append('-q')
    processutils.execute(*cmd, path, run_as_root=True, check_exit_code=[0, 2])

def change(mode, path):
    processutils.execute('chmod', mode, path, run_as_root=self.as_root)
"""
OPEN = "    processutils.execute(*path.split(), run_as_root=True)\n"
FILTERS = """[Filters]
ls: CommandFilter, ls, root
ls_r: RegExpFilter, ls, root, ls, -R, .*
cat: CommandFilter, cat, root
helper: CommandFilter, privsep-helper, root
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "service.py").write_text(MODULE)
    (tmp_path / "service.filters").write_text(FILTERS)
    return tmp_path


@pytest.fixture
def run(service: Path, subcommand: Subcommand) -> Run:
    return subcommand("callsites")


def test_the_table(run: Run) -> None:
    code, out, err = run("service.py")
    assert (code, err) == (0, "")
    assert out == textwrap.dedent(
        """\
        site           command line         root                  options
        service.py:8   ls -l [-q] {path}    root                  check_exit_code=[0, 2]
        service.py:11  chmod {mode} {path}  root if self.as_root

        2 calls as root in 1 file: 2 direct, 0 through 0 wrappers
        of the direct ones: 2 resolved, 2 can become a typed call, 2 a call whose list is checked
        """
    )


def test_what_is_not_resolved_is_a_finding(run: Run, service: Path) -> None:
    with (service / "service.py").open("a") as module:
        module.write(OPEN)
    code, out, _ = run("service.py")
    assert code == callsites.FINDINGS
    assert "not resolved:\n  service.py:12  split  a text that is only known at run time" in out
    assert "reasons: split 1\n" in out


def test_a_folder_without_python_is_no_clean_service(run: Run, service: Path) -> None:
    """A path that is misspelled in CI must not pass."""
    (service / "docs").mkdir()
    code, out, err = run("docs")
    assert (code, out, err) == (2, "", "privmigrate: docs: error: no Python file there\n")


def test_a_file_that_is_no_python_3_is_a_finding(run: Run, service: Path) -> None:
    """Nobody knows which calls it has."""
    (service / "old.py").write_text(MODULE + "    print 'x'\n")
    code, out, err = run("service.py", "old.py")
    assert code == callsites.FINDINGS
    assert err.startswith("privmigrate: old.py:12: warning: is no Python 3: ")
    assert "2 calls as root in 2 files" in out
    out = run("service.py", "old.py", "--filters", "service.filters")[1]
    assert "cat\n  (unless a call in a file that is no Python 3 needs them)\n" in out


def test_filters_are_held_against_calls(run: Run) -> None:
    code, out, err = run("service.py", "--filters", "service.filters")
    assert code == callsites.FINDINGS
    assert err == ""
    lines = out.splitlines()
    assert lines[1].split()[-2:] == ["service.filters:2", "ls"]
    assert lines[2].split()[-1] == "-"
    assert "no filter allows:\n  service.py:11  chmod {mode} {path}\n" in out
    # the other filter for ls never allows this call; privsep's own is no privilege to drop
    assert (
        "filters that no call uses:\n  service.filters:3 ls_r\n  service.filters:4 cat\n\n" in out
    )


def test_a_filter_that_an_open_call_may_need_is_not_unused(run: Run, service: Path) -> None:
    with (service / "service.py").open("a") as module:
        module.write("    processutils.execute('cat', *path, run_as_root=True)\n" + OPEN)
    _, out, _ = run("service.py", "--filters", "service.filters")
    assert "service.filters:4 cat?" in out
    unused = out.partition("filters that no call uses:\n")[2].splitlines()
    assert unused[:2] == [
        "  service.filters:3 ls_r",
        "  (unless a call that is not resolved needs them)",
    ]


def test_everything_as_data(run: Run) -> None:
    code, out, _ = run("service.py", "--json", "--filters", "service.filters")
    data = json.loads(out)
    assert code == callsites.FINDINGS
    first, second = data["sites"]
    assert first["templates"][0]["text"] == "ls -l [-q] {path}"
    assert first["templates"][0]["segments"][2]["guard"] == "quiet"
    assert first["options"] == [{"name": "check_exit_code", "source": "[0, 2]", "constant": True}]
    assert first["filters"] == [["service.filters:2 ls"]]
    assert second["condition"] == "self.as_root"
    assert data["denied"] == [{"file": "service.py", "line": 11, "template": 0}]
    assert data["unused_filters"] == ["service.filters:3 ls_r", "service.filters:4 cat"]
    assert data["summary"]["typable"] == 2


def test_bad_input(run: Run, service: Path) -> None:
    code, out, err = run("none", "service.py")
    assert code == callsites.BAD_INPUT
    assert err == "privmigrate: none: error: cannot be read: No such file or directory\n"
    assert "2 calls as root" in out
    # of calls that were not read no filter is said to be needed by none
    code, out, _ = run("none", "service.py", "--filters", "service.filters")
    assert code == callsites.BAD_INPUT
    assert "no call uses" not in out
    code, out, _ = run("none", "--filters", "service.filters")
    assert (code, out) == (callsites.BAD_INPUT, "")
    code, _, err = run("service.py", "--filters", "none.filters")
    assert code == callsites.BAD_INPUT
    assert "none.filters" in err
    (service / "pyproject.toml").write_text("[tool.privmigrate]\nx = 1\n")
    code, _, err = run("service.py")
    assert code == callsites.BAD_INPUT
    assert "has no 'x'" in err


def test_control_characters_of_a_source_do_not_reach_the_terminal(run: Run, service: Path) -> None:
    (service / "service.py").write_text(
        "from oslo_concurrency import processutils\n"
        "processutils.execute('ls', '\x1b[31m', run_as_root=True)\n"
    )
    _, out, _ = run("service.py")
    assert "\x1b" not in out
    assert "\\x1b[31m" in out


def test_help_has_an_example() -> None:
    parser = argparse.ArgumentParser()
    callsites.configure(parser)
    assert "privmigrate callsites manila/" in parser.format_help()


def test_sorted_whatever_the_order_of_paths(run: Run, service: Path) -> None:
    (service / "a.py").write_text(MODULE)
    assert run("service.py", "a.py")[1] == run("a.py", "service.py")[1]


def test_real_filters_and_calls(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """manila 23: three calls of ssh that no filter has, and what moved to privsep long ago."""
    folder = PROJECT / ".cache" / "sources" / "manila-23.0.1"
    if not folder.is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    monkeypatch.chdir(folder)
    _, out, _ = run("manila", "--filters", "etc/manila/rootwrap.d", "--json")
    data = json.loads(out)
    denied = {(each["file"], each["line"]): each["template"] for each in data["denied"]}
    commands = {
        site["templates"][denied[site["file"], site["line"]]]["commands"][0]
        for site in data["sites"]
        if (site["file"], site["line"]) in denied and not site["reasons"]
    }
    assert commands == {"ssh"}
    assert {"share.filters:183 lvconvert", "share.filters:24 dd"} <= set(data["unused_filters"])
