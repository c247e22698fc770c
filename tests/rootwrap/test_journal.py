"""Command lines out of logs, as rootwrap, sudo and services write them, and whatever else."""

import logging
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_rootwrap import wrapper

from privmigrate.rootwrap.command import Allowed
from privmigrate.rootwrap.journal import Seen, Unread, decide_again, read_journal
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.policy import Policy

EXEC_DIRS = ["/usr/bin", "/bin"]


def read(line: str, *, plain: bool = False) -> Seen | Unread:
    (one,) = read_journal([line], plain=plain)
    return one


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            (
                "Nov 23 10:00:00 host cinder-rootwrap: (cinder > root) Executing"
                " ['/bin/cat', 'a b'] (filter match = cat)"
            ),
            ("/bin/cat", "a b"),
        ),
        (
            (
                "Nov 23 10:00:00 host sudo:   cinder : TTY=unknown ; PWD=/ ; USER=root ;"
                " COMMAND=/usr/bin/cinder-rootwrap /etc/x/rootwrap.conf lvs --noheadings -o 'a b'"
            ),
            ("lvs", "--noheadings", "-o", "a b"),
        ),
        (
            ("COMMAND=/usr/bin/cinder-rootwrap /etc/x/rootwrap.conf echo it's so"),
            ("echo", "it's", "so"),
        ),
        (
            (
                "DEBUG oslo_concurrency [-] Running cmd (subprocess): sudo nova-rootwrap"
                " /etc/nova/rootwrap.conf chown 1:1 /srv/x"
            ),
            ("chown", "1:1", "/srv/x"),
        ),
        (
            "host x-rootwrap: Unauthorized command: rm -rf / (no filter matched)",
            ("rm", "-rf", "/"),
        ),
        ("WARNING Executable not found for: lvs -a", ("lvs", "-a")),
        ('["ip", "link", "show"]', ("ip", "link", "show")),
    ],
)
def test_commands_in_lines_of_logs(line: str, words: tuple[str, ...]) -> None:
    for plain in (True, False):
        found = read(line, plain=plain)
        assert isinstance(found, Seen)
        assert found.argv == words


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nothing of the kind", ""),
        ("Executing [broken (filter match = x)", ""),
        ("Executing [broken] (filter match = x)", "the list of words is cut off"),
        ("Executing [1, 2] (filter match = x)", "the list of words is cut off"),
        ("Executing [] (filter match = x)", "the list of words is cut off"),
        ("Executing [" + "[" * 5000 + "] (filter match = x)", "the list of words is cut off"),
        ("[1]", ""),
        ("[", ""),
        ("[" * 100_000, ""),
        ("Unauthorized command:  (no filter matched)", ""),
    ],
)
def test_lines_without_a_command(line: str, why: str) -> None:
    assert read(line) == Unread(1, why)


def test_a_line_that_would_take_minutes_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write to a log holds up nobody who reads it."""
    monkeypatch.setattr("shlex.split", lambda _text: pytest.fail("split"))
    word = "a" * 2**20
    why = "not a command line: longer than 262144 characters"
    assert list(read_journal([word], plain=True)) == [Unread(1, why)]
    call = f"sudo: x : COMMAND=/usr/bin/cinder-rootwrap /etc/rootwrap.conf ls '{word}'"
    [seen] = read_journal([call], plain=False)
    assert isinstance(seen, Seen)
    assert seen.split
    assert seen.argv == ("ls", f"'{word}'")


def test_plain_lines_are_commands_where_they_are_meant() -> None:
    assert read("chown 'a b' c", plain=True) == Seen(1, ("chown", "a b", "c"))
    assert read("chown 'a", plain=True) == Unread(1, "not a command line: No closing quotation")
    assert read("Nov 23 10:00:00 host kernel: x", plain=True) == Unread(1, "")
    assert read("2026-11-23T10:00:00.1+00:00 host x", plain=True) == Unread(1, "")
    assert list(read_journal(["", "# a comment", "  "], plain=True)) == []


FILTERS = """[Filters]
cat: CommandFilter, cat, root
sort: EnvFilter, env, root, LC_ALL=C, TAG=, sort
"""


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (["cat", "/dev/null"], ("cat", "/dev/null")),
        (["env", "LC_ALL=C", "TAG=1", "sort", "/dev/null"], ("LC_ALL=C", "TAG=x", "sort",
                                                             "/dev/null")),
    ],
)  # fmt: skip
def test_what_oslo_rootwrap_logs_is_read_back(
    argv: list[str], asked: Sequence[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.filters").write_text(FILTERS)
    filters = wrapper.load_filters([str(tmp_path)])
    with caplog.at_level(logging.INFO):
        process = wrapper.start_subprocess(filters, argv, exec_dirs=EXEC_DIRS, log=True)
        process.communicate()
    (line,) = [r.getMessage() for r in caplog.records if "Executing" in r.getMessage()]
    seen = read(f"Nov 23 10:00:00 host x-rootwrap: {line}")
    assert isinstance(seen, Seen)
    policy = Policy(parse_filters(FILTERS.encode(), "a.filters").rules, EXEC_DIRS)
    words, decision = decide_again(policy, seen)
    assert tuple(words) == tuple(asked)
    assert isinstance(decision, Allowed)
    assert decision.name == seen.name


@pytest.mark.root
def test_what_sudo_logs_is_read_back() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        program = folder / "x-rootwrap"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        sudoers = folder / "sudoers"
        sudoers.write_text(
            f"Defaults logfile={folder}/log, loglinelen=0\n"
            f"games ALL=(nobody) NOPASSWD: {program} /etc/x/rootwrap.conf *\n"
        )
        sudoers.chmod(0o440)
        call = f"sudo -n -u nobody {program} /etc/x/rootwrap.conf lvs -o 'a b'"
        script = f"mount --bind {sudoers} /etc/sudoers; setpriv --reuid 5 --regid 60"
        words = ["unshare", "--mount", "sh", "-c", f"{script} --clear-groups {call}"]
        subprocess.run(words, check=True, timeout=30)
        seen = list(read_journal((folder / "log").read_text().splitlines(), plain=True))
    (one,) = [one for one in seen if isinstance(one, Seen)]
    # sudo 1.9 quotes, older ones do not
    assert one.argv in {("lvs", "-o", "a b"), ("lvs", "-o", "a", "b")}


@given(st.text(), st.booleans())
def test_no_line_is_too_odd(text: str, plain: bool) -> None:  # noqa: FBT001 - hypothesis's
    for one in read_journal(text.splitlines(), plain=plain):
        assert isinstance(one, Unread) or one.argv


FRAGMENTS = st.sampled_from(
    [
        "Executing [", "'a'", ", ", "] (filter match = x)", "Unauthorized command: ",
        " (no filter matched)", "COMMAND=/usr/bin/x-rootwrap /etc/x.conf ", "x-rootwrap ", "\\",
        '["', '"]', "Nov 23 10:00:00 ", "Executable not found for: ", "\0", "\udcff", "'", '"',
    ]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.booleans())
def test_no_mixture_of_their_parts_is_too_odd(
    text: str,
    plain: bool,  # noqa: FBT001 - hypothesis's
) -> None:
    for one in read_journal([text], plain=plain):
        assert isinstance(one, Unread) or (one.argv and all(isinstance(w, str) for w in one.argv))


@given(st.lists(st.text(), min_size=1), st.text("abc_-", min_size=1))
def test_any_words_that_rootwrap_logs_come_back(argv: list[str], name: str) -> None:
    line = f"h x-rootwrap: (x > root) Executing {argv} (filter match = {name})"
    assert read(line) == Seen(1, tuple(argv), name)
