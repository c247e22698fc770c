"""A rootwrap.conf that cannot be used: whoever reads it says where and what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from privmigrate.cli import main
from tests.shim.conftest import WriteConfig

PROJECT = Path(__file__).resolve().parent.parent.parent
FILTERS = "id: CommandFilter, id, root\n"
BAD = {
    "an option of ours": ("[privmigrate]\nmod=off", ":5:1: error: [privmigrate] has no option mod"),
    "its value": ("[privmigrate]\nmode=perhaps", ":5:1: error: mode cannot be 'perhaps' (one of"),
    "a filter's name": ("[capabilities]\nidd=none", ":5:1: error: [capabilities] names no filter"),
    "a capability": ("[capabilities]\nid=CAP_FOO", ":5:1: error: id cannot be 'CAP_FOO' ("),
    "no place for records": (
        "[privmigrate]\naudit=required",
        ":5:1: error: audit cannot be 'required' without a place for the records (write",
    ),
    "an option of rootwrap's": ("use_syslog=maybe", ":4:12: error: use_syslog cannot be 'maybe' ("),
    "no option": ("nonsense", ":4:1: error: 'nonsense' is neither a section nor"),
    "twice": ("filters_path=/x", ":4:1: error: filters_path stands here and in line 2 (remove"),
}
ACTIONS: dict[str, tuple[tuple[str, ...], int]] = {
    "install": (("shim", "install", "--service", "nobody", "--dry-run", "--config"), 2),
    "status": (("shim", "status", "--config"), 1),
    "audit": (("audit", "--profile", "migrate"), 1),
    "match": (("match",), 2),
}
PROGRAMS = {
    "command": ("privmigrate.shim.rootwrap_main",),
    "daemon": ("privmigrate.shim.rootwrap_daemon_main",),
    "serve": ("privmigrate.shim.rootwrap_main", "--serve"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("bad", BAD)
def test_the_place_is_said(
    write_config: WriteConfig, capsys: pytest.CaptureFixture[str], bad: str, action: str
) -> None:
    options, expected = BAD[bad]
    config = write_config(FILTERS, options)
    words, code = ACTIONS[action]
    assert main([*words, str(config), *(["id"] if action == "match" else [])]) == code
    said = capsys.readouterr()
    place, _, message = expected.partition(" error: ")
    whole = said.out + said.err
    assert f"{config}{place.rstrip(':')}" in whole
    assert message in whole


@pytest.mark.root
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("bad", BAD)
def test_who_runs_commands_says_it_too(write_config: WriteConfig, bad: str, program: str) -> None:
    options, expected = BAD[bad]
    config = write_config(FILTERS, options)
    words = [sys.executable, "-m", *PROGRAMS[program], str(config)]
    words += ["id"] if program == "command" else []
    done = subprocess.run(
        words, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 97
    assert f": {config}{expected}" in done.stderr
    assert all("privmigrate" in line.partition(": ")[0] for line in done.stderr.splitlines())


@pytest.mark.parametrize("action", ["install", "status", "learned", "match", "convert", "audit"])
def test_what_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    config = str(tmp_path / "rootwrap.conf")
    words: dict[str, tuple[str, ...]] = {
        "install": ("shim", "install", "--service", "nobody", "--dry-run", "--config", config),
        "status": ("shim", "status", "--config", config),
        "learned": ("shim", "learned", "--config", config),
        "match": ("match", config, "id"),
        "convert": ("convert", config),
        "audit": ("audit", config),
    }
    assert main(words[action]) in {1, 2, 255}
    said = capsys.readouterr()
    assert f"{config}: " in said.out + said.err
    assert "o such file or" in said.out + said.err


def test_a_folder_of_filters_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "rootwrap.conf"
    config.write_text("[DEFAULT]\nfilters_path=/nowhere\nexec_dirs=/usr/bin\n")
    main(["shim", "status", "--config", str(config)])
    accepted = ("--accept-writable", "/" + tmp_path.parts[1])
    words = ("--service", "nobody", "--config", str(config), *accepted)
    assert main(["shim", "install", *words, "--dry-run"]) == 0
    said = capsys.readouterr()
    text = "'/nowhere' in filters_path is not a folder; rootwrap skips it"
    assert f"note: {text}" in said.err
