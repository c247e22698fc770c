"""``privmigrate match``: what it says of a command, in both modes, and of a log of commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Subcommand

FILTERS = r"""[Filters]
cat: CommandFilter, cat, root
sleep: RegExpFilter, sleep, root, sleep, \d+
sleep_two: RegExpFilter, sleep, nobody, sleep, [0-9]+, now
read: PathFilter, /bin/ls, root, -l, /proc/sys
lang: EnvFilter, env, root, LC_ALL=C, sort
nice: ChainingRegExpFilter, nice, root, nice, -n, \d+
hosts: ReadFileFilter, /etc/hosts
ghost: CommandFilter, no-such-tool, root
again: CommandFilter, true, root
again: CommandFilter, false, root
typo: CommandFliter, true, root
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rootwrap.d").mkdir()
    (tmp_path / "rootwrap.d" / "a.filters").write_text(FILTERS)
    (tmp_path / "rootwrap.conf").write_text(
        f"[DEFAULT]\nfilters_path={tmp_path}/rootwrap.d\nexec_dirs=/usr/bin,/bin\n"
    )
    return tmp_path


@pytest.fixture
def run(folder: Path, subcommand: Subcommand) -> Run:
    return subcommand("match", folder)


def test_an_allowed_command_is_shown_with_all_that_it_gets(run: Run, folder: Path) -> None:
    code, out, err = run(f"{folder}/rootwrap.conf", "--", "cat", "/etc/shadow")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "exact and strict: allowed by cat (CommandFilter), rootwrap.d/a.filters:2:1",
        "  executes      /usr/bin/cat /etc/shadow",
        "  environment   the caller's",
        "  user          root",
        "  capabilities  CAP_DAC_READ_SEARCH (observed; see privmigrate caps explain)",
    ]


def test_of_a_command_without_a_set_none_is_shown(run: Run, folder: Path) -> None:
    """An empty set would read as if it needed nothing."""
    with (folder / "rootwrap.d" / "a.filters").open("a") as file:
        file.write("shell: CommandFilter, sh, root\n")
    _, out, _ = run(f"{folder}/rootwrap.conf", "--", "sh", "-c", "id")
    assert "  capabilities  no set is known (see privmigrate caps explain)" in out.splitlines()
    _, out, _ = run("--json", f"{folder}/rootwrap.conf", "--", "sh", "-c", "id")
    assert '"capabilities": null' in out


def test_the_environment_is_shown(run: Run, folder: Path) -> None:
    code, out, _ = run(f"{folder}/rootwrap.d", "env", "LC_ALL=C", "sort", "-u")
    assert code == 0
    assert "  executes      /bin/sort -u\n  environment   LC_ALL=C\n" in out


def test_what_only_exact_mode_allows_is_shown_as_that(run: Run, folder: Path) -> None:
    """oslo.rootwrap lets a newline follow; the filter did not mean it."""
    words = (f"{folder}/rootwrap.conf", "--", "sleep", "5\n")
    code, out, _ = run(*words)
    assert code == 0
    assert "exact: allowed by sleep (RegExpFilter), rootwrap.d/a.filters:3:1\n" in out
    assert "strict: denied: " in out
    assert "    word 1, '5\\n', does not match \\d+\n" in out
    assert run("--mode", "strict", *words)[0] == 1


def test_the_nearest_entry_comes_first_with_the_word_on_which_it_failed(
    run: Run, folder: Path
) -> None:
    code, out, _ = run(f"{folder}/rootwrap.conf", "--", "sleep", "5", "soon")
    assert code == 1
    lines = out.splitlines()
    assert (
        lines[0] == "exact and strict: denied: none of the 2 filters for 'sleep' allows these words"
    )
    assert [line for line in lines if "RegExpFilter" in line] == [
        "  sleep (RegExpFilter), rootwrap.d/a.filters:3:1",
        "  sleep_two (RegExpFilter), rootwrap.d/a.filters:4:1",
    ]
    assert "    sleep 5 >>soon<<" in lines
    assert run(f"{folder}/rootwrap.d", "sleep")[1].count("sleep >>nothing<<") == 2


def test_of_a_path_filter_the_argument_is_pointed_at(run: Run, folder: Path) -> None:
    _, out, _ = run(f"{folder}/rootwrap.d", "--", "ls", "-l", "/proc/sys/../meminfo")
    assert "    ls -l >>/proc/sys/../meminfo<<\n" in out
    assert "is /proc/meminfo, which is not within /proc/sys\n" in out


def test_of_a_chain_the_command_behind_it_is_pointed_at(run: Run, folder: Path) -> None:
    code, out, _ = run(f"{folder}/rootwrap.d", "--", "nice", "-n", "5", "reboot")
    assert code == 1
    assert "    no filter for root allows 'reboot', spelled so, in a chain\n" in out
    assert "    nice -n 5 >>reboot<<\n" in out


def test_a_command_without_filter_brings_names_like_it(run: Run, folder: Path) -> None:
    code, out, _ = run(f"{folder}/rootwrap.d", "--", "slep", "5")
    assert code == 1
    assert out == (
        "exact and strict: denied: no filter is about 'slep'\nthere are filters for sleep\n"
    )


def test_a_missing_executable_is_said(run: Run, folder: Path) -> None:
    code, out, _ = run(f"{folder}/rootwrap.conf", "no-such-tool")
    assert code == 1
    assert out == (
        "exact and strict: allowed by ghost (CommandFilter), rootwrap.d/a.filters:9:1,"
        " but no-such-tool is not in exec_dirs\n"
    )


def test_json_says_the_same(run: Run, folder: Path) -> None:
    code, out, _ = run("--json", f"{folder}/rootwrap.conf", "--", "sleep", "5\n")
    found = json.loads(out)
    assert code == 0
    assert found["argv"] == ["sleep", "5\n"]
    assert found["exact"]["argv"] == ["/usr/bin/sleep", "5\n"]
    assert found["exact"]["by"] == {
        "name": "sleep",
        "class": "RegExpFilter",
        "file": "rootwrap.d/a.filters",
        "line": 3,
    }
    assert found["strict"]["allowed"] is False
    assert found["nearest"][0]["word"] == 1


@pytest.mark.parametrize(
    ("name", "words", "reason"),
    [
        ("sleep", ("sleep", "x"), "word 1, 'x', does not match \\d+"),
        ("sleep", ("sleep", "5"), "it is the entry that allows these words"),
        (
            "sleep",
            ("sleep", "5\n"),
            "it is the entry that allows these words, but not as it was meant: word 1,",
        ),
        (
            "HOSTS",
            ("cat", "/etc/hosts"),
            "it allows these words, but cat (rootwrap.d/a.filters:2:1)",
        ),
        ("ghost", ("no-such-tool",), "it allows these words, but no-such-tool is not in exec_dirs"),
        ("typo", ("true",), "rootwrap knows no such filter class, and skips the entry"),
        ("again", ("true",), "a later entry of the same file has the same name"),
        ("nice", ("nice", "-n", "5", "x"), "no filter for the same user allows the command behind"),
        ("privsep-helper", ("x",), "x is not privsep-helper"),
    ],
)
def test_why_not(run: Run, folder: Path, name: str, words: tuple[str, ...], reason: str) -> None:
    code, out, _ = run("--why-not", name, f"{folder}/rootwrap.conf", "--", *words)
    assert f": {reason}" in out
    assert code == (0 if reason.startswith("it is the entry") else 1)


LOG = """\
Nov 23 10:00:00 h x-rootwrap: (x > root) Executing ['/usr/bin/sleep', '5'] (filter match = sleep)
Nov 23 10:00:01 h x-rootwrap: (x > root) Executing ['/usr/bin/sort', '-u'] (filter match = lang)
Nov 23 10:00:02 h x-rootwrap: (x > root) Executing ['/bin/cat', '/etc/hosts'] (filter match = hosts)
Nov 23 10:00:03 h x-rootwrap: (x > root) Executing ['/bin/cat', '/et
Nov 23 10:00:04 h x-rootwrap: Unauthorized command: rm -rf / (no filter matched)
Nov 23 10:00:05 h sudo: x : PWD=/ ; USER=root ; COMMAND=/usr/bin/x-rootwrap /etc/x.conf cat /a
2026-11-23T10:00:06+00:00 h cron[1]: hello
<6>Nov 23 10:00:07 h kernel: hello

# a line of one's own
cat '/with a space'
cat 'open
"""


def test_a_log_is_held_against_the_filters(run: Run, folder: Path) -> None:
    (folder / "log").write_text(LOG)
    code, out, _ = run("--batch", f"{folder}/log", f"{folder}/rootwrap.conf")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "6 commands, 1 denied; 3 of 9 entries used (33 %)"
    assert "       3  cat (CommandFilter), rootwrap.d/a.filters:2:1" in lines
    assert "       1  lang (EnvFilter), rootwrap.d/a.filters:6:1" in lines
    assert "       1  rm -rf / (line 5)" in lines
    assert "allowed in exact mode only:" not in lines
    assert "          ghost (CommandFilter), rootwrap.d/a.filters:9:1" in lines
    assert "line 12 was not read: not a command line: No closing quotation" in lines
    assert lines[-1] == "3 lines of other programs"


def test_a_log_as_json_and_from_standard_input(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", "match", "--json", "--batch", "-", "rootwrap.d"],
        cwd=folder,
        input=b"sleep 5\nsleep 5\nsleep '5\n'\ncat \xff\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["commands"] == 3
    assert [one["count"] for one in found["used"]] == [2, 1]
    assert [one["line"] for one in found["unread"]] == [3, 4]


def test_what_only_exact_mode_allowed_is_listed(run: Run, folder: Path) -> None:
    (folder / "log").write_text("nice -n 5 /tmp/cat x\n")
    words = ("--batch", f"{folder}/log", f"{folder}/rootwrap.d")
    code, out, _ = run(*words)
    assert code == 0
    assert "allowed in exact mode only:\n       1  nice -n 5 /tmp/cat x (line 1)\n" in out
    assert run("--mode", "strict", *words)[0] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{}/rootwrap.d",), "no command was given"),
        (("{}/rootwrap.d", "--json", "x"), "--json stands behind CONF"),
        (("{}/rootwrap.d", "--mode=exact", "x"), "--mode stands behind CONF"),
        (("{}/rootwrap.d", "--from", "x"), "--from is no option of match (there are: --why-not"),
        (("{}", "x"), "{}: error: there is no filter in this folder"),
        (("{}/none.conf", "x"), "none.conf: error: cannot be read: No such file"),
        (("--why-not", "nothing", "{}/rootwrap.d", "x"), "there is no entry 'nothing'"),
        (("--batch", "{}/none", "{}/rootwrap.d"), "none: error: cannot be read: No such file"),
        (("--batch", "x", "{}/rootwrap.d", "x"), "--batch takes its commands from FILE"),
        (("--batch", "/dev/null", "{}/rootwrap.d"), "/dev/null: error: has no command"),
    ],
)
def test_bad_input_is_one_message(
    run: Run, folder: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*(word.format(folder) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith(f"privmigrate: {message.format(folder)}")
    assert err.count("\n") == 1


def test_words_of_others_do_not_reach_the_terminal_as_they_are(run: Run, folder: Path) -> None:
    _, out, _ = run(f"{folder}/rootwrap.d", "--", "sleep", "\x1b[2J")
    assert "\x1b" not in out
