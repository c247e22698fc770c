"""The command lines that rules warn of work: each whose program is here is run with real files.

In the place of the attacker's program /tmp/x stands a script that leaves a mark, in the place of
root's files stand files of this test.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from privmigrate.audit.engine import all_ways
from privmigrate.audit.power import Gain, Way

SHOWN: Final = (Gain.RUN, Gain.WRITE, Gain.READ, Gain.OWN, Gain.REMOVE)
NOBODY: Final = 65534
# Only what touches nothing but the files that it is given; and nobody runs it.
TRIED: Final = (
    "awk", "base64", "bash", "busybox", "cat", "chmod", "cmp", "comm", "cp", "cut", "dash",
    "date", "dd", "diff", "du", "ed", "egrep", "env", "fgrep", "file", "find", "flock", "fold",
    "gawk", "grep", "gunzip", "gzip", "head", "hexdump", "install", "ionice", "join", "jq",
    "ln", "lua", "mawk", "mkdir", "mkfifo", "mv", "nice", "nl", "nohup", "od", "paste", "patch",
    "perl", "php", "prlimit", "python3", "rev", "rm", "rmdir", "rsync", "ruby", "sed",
    "setpriv", "setsid", "sh", "shred", "shuf", "sort", "split", "stdbuf", "strings", "tac",
    "tail", "tar", "taskset", "tee", "time", "timeout", "touch", "truncate", "uniq", "unlink",
    "wc", "xargs", "xxd", "xz", "zcat", "zip", "zsh",
)  # fmt: skip
# Ways that need more than a file: the line is right, its setting is not here.
EXCUSED: Final = {
    "rm -rf /etc": "a removal of /etc stands for any folder",
    "tar -C / -xf /tmp/x.tar": "wants an archive, and writes to /",
    "tar -xf /tmp/x.tar -C /": "wants an archive, and writes to /",
    "rsync -e /tmp/x a: b": "waits for the other side",
    "find /etc -delete": "a removal of /etc stands for any folder",
    "rmdir /etc/passwd": "is about a folder",
    "patch /etc/cron.d/x /tmp/x": "wants a patch",
    "zcat -c /etc/shadow": "wants a compressed file",
    "gunzip -c /etc/shadow": "wants a compressed file",
}
_PLACES: Final = re.compile(r"/etc/cron\.d/x|/etc/(?:shadow|passwd|hosts)|/tmp/[a-z.]+")


@dataclass(frozen=True)
class Place:
    """The files of one attack."""

    folder: Path

    def fill(self, text: str) -> str:
        return _PLACES.sub(lambda found: f"{self.folder}/{_name(found.group())}", text)

    @property
    def mark(self) -> Path:
        return self.folder / "mark"


def _name(path: str) -> str:
    return "cron" if path.startswith("/etc/cron.d") else Path(path).name


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        attack = folder / "x"
        attack.write_text(f"#!/bin/sh\necho ran > {folder}/mark\n")
        attack.chmod(0o755)
        for file in ("shadow", "passwd", "hosts"):
            (folder / file).write_text("root:x:secret:1\n")
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        yield Place(folder)


def tried() -> list[object]:
    return [
        pytest.param(program, way, id=f"{program} {way.line}")
        for way in all_ways()
        for program in way.programs.split()
        if program in TRIED and way.gain in SHOWN and shutil.which(program)
        if f"{program} {way.line}" not in EXCUSED
    ]


def run(place: Place, program: str, line: str) -> subprocess.CompletedProcess[bytes]:
    nobody = NOBODY if os.geteuid() == 0 else None
    return subprocess.run(
        [program, *shlex.split(place.fill(line))],
        user=nobody,
        group=nobody,
        extra_groups=None if nobody is None else [],
        cwd=place.folder,
        input=b"a\nwritten\n.\nw\nq\n",  # to ed, commands; to others, text
        capture_output=True,
        timeout=20,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(place.folder)},
    )


@pytest.mark.parametrize(("program", "way"), tried())
def test_the_way_works(program: str, way: Way, place: Place) -> None:
    before = {
        path.name: (path.read_bytes(), path.stat().st_mode) for path in place.folder.iterdir()
    }
    if program == "python3" and way.line == "/tmp/x":
        (place.folder / "x").write_text(f"open('{place.mark}', 'w').write('ran')")
    done = run(place, program, way.line)
    after = {
        path.name: (path.read_bytes() if path.is_file() else b"", path.stat().st_mode)
        for path in place.folder.iterdir()
    }
    match way.gain:
        case Gain.RUN:
            assert place.mark.exists(), done.stderr
        case Gain.READ:
            text = (
                done.stdout
                + done.stderr
                + b"".join(data for name, (data, _) in after.items() if name not in before)
            )
            assert set(text.lower()) - set(b"\n "), done
            assert b"secret" in text or b"root" in text or _is_digest(program, text), text
        case Gain.REMOVE:
            assert set(before) - set(after), done.stderr
        case _:
            assert after != before, done.stderr


def _is_digest(program: str, text: bytes) -> bool:
    """Tools that show a file in other letters: dumps, and lines in another order."""
    shown = program in {"od", "xxd", "hexdump", "rev", "cut", "uniq", "nl", "gzip", "cmp"}
    return shown and len(text) > 0


@pytest.mark.parametrize(
    "line",
    ["/etc/hosts -exec /tmp/x {} +", "/etc/hosts -exec /tmp/x ';'"],
)
def test_find_runs_programs(place: Place, line: str) -> None:
    done = run(place, "find", line)
    assert place.mark.exists(), done.stderr


def test_find_writes_and_removes_files(place: Place) -> None:
    run(place, "find", "/etc/hosts -fprintf /etc/cron.d/x 'x\\n'")
    assert (place.folder / "cron").read_text() == "x\n"
    run(place, "find", "/etc/passwd -delete")
    assert not (place.folder / "passwd").exists()


@pytest.mark.root
@pytest.mark.parametrize(
    ("program", "line", "gain"),
    [
        ("tee", "/etc/cron.d/x", Gain.WRITE),
        ("cat", "/etc/shadow", Gain.READ),
        ("chmod", "666 /etc/passwd", Gain.OWN),
        ("find", "/etc/passwd -delete", Gain.REMOVE),
        ("sh", "-c 'cat /etc/shadow'", Gain.READ),
    ],
)
def test_the_same_line_fails_where_the_command_holds_nothing(
    place: Place, program: str, line: str, gain: Gain
) -> None:
    """What a wide command can do ends with its capabilities, as in the daemon of a context."""
    place.folder.chmod(0o755)
    for path in (place.folder, *place.folder.iterdir()):
        os.chown(path, 0, 0)
    for name in ("shadow", "passwd"):
        (place.folder / name).chmod(0o600)
    words = [program, *shlex.split(place.fill(line))]
    for user, works in ((NOBODY, False), (0, True)):
        done = subprocess.run(
            words, input=b"x", capture_output=True, check=False, user=user, group=user,
            extra_groups=[],
        )  # fmt: skip
        assert (done.returncode == 0) is works, (gain, done)
