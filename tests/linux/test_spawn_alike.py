"""A program cannot tell whether subprocess or the C library started it, nor can whoever asked."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager, suppress
from pathlib import Path

import pytest

from privmigrate.linux import _libc
from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.linux.spawn import Program, spawn

# what differs from one process to the next, whoever starts it
PROBE = """
import os, sys
def read(name):
    with open('/proc/self/' + name, 'rb') as file:
        return file.read()
passing = (b'Pid', b'Tgid', b'Vm', b'Rss', b'voluntary', b'nonvoluntary', b'Ngid', b'NStgid',
           b'NSpid', b'NSpgid', b'NSsid', b'State', b'HugetlbPages', b'Cpus', b'Mems', b'x86',
           b'SigQ')
print([line for line in read('status').split(b'\\n') if not line.startswith(passing)])
for number in sorted(map(int, os.listdir('/proc/self/fd'))):
    try:
        print(number, os.readlink(f'/proc/self/fd/{number}').split(':')[0])
    except OSError:
        pass  # the folder itself
print(os.readlink('/proc/self/cwd'), sorted(read('environ').split(b'\\0')), read('cmdline'))
print(read('limits'), read('oom_score_adj'), os.nice(0), os.sched_getscheduler(0))
pid = os.getpid()
print(os.getpgid(0) == pid, os.getsid(0) == pid, os.getsid(0) == os.getsid(os.getppid()))
print(os.getpgid(0) == os.getpgid(os.getppid()), os.getppid())
"""
ALL = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
USUAL = {"PATH": "/usr/bin:/bin"}

pytestmark = pytest.mark.skipif(not _libc.CAN_SPAWN, reason="this C library offers no such call")


@pytest.fixture(autouse=True)
def as_without_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has no such call, subprocess forks; from Python 3.13 on it would not."""
    monkeypatch.setattr(subprocess, "_USE_POSIX_SPAWN", False)


@contextmanager
def ignored(*numbers: int) -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def blocked(numbers: set[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def inheritable() -> Iterator[None]:
    """Descriptors as systemd or a library leaves them: low and high ones, not close-on-exec."""
    null = os.open("/dev/null", os.O_RDWR)
    high = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1
    found = [os.dup2(null, number, inheritable=True) for number in (high, high // 2)]
    found += [os.dup2(null, os.dup(null), inheritable=True)]
    try:
        yield
    finally:
        for fd in (null, *found):
            os.close(fd)


@contextmanager
def other_umask() -> Iterator[None]:
    before = os.umask(0o137)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def limited() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


Around = Callable[[], object]
ROWS: dict[str, tuple[dict[str, object], tuple[Around, ...]]] = {
    "plain": ({}, ()),
    "our environment": ({"environment": None}, ()),
    "no environment": ({"environment": {}}, ()),
    "an environment of bytes": ({"environment": {b"A\xff": b"\xff=", b"B": b""}}, ()),
    "an environment of texts": ({"environment": {"Ä": "é\udcff", "B": ""}}, ()),
    "words of all kinds": ({"argv": ("", "-", "é", "\udcff", b"\xff", " a\nb", "")}, ()),
    "many words": ({"argv": ("x",) * 20_000}, ()),
    "our folder": ({"cwd": None}, (lambda: chdir("/usr"),)),
    "a folder": ({"cwd": "/usr"}, ()),
    "a folder of bytes": ({"cwd": b"/usr/../usr/lib"}, ()),
    "a relative folder": ({"cwd": "lib"}, (lambda: chdir("/usr"),)),
    "a group": ({"new_group": True}, ()),
    "a session": ({"new_session": True}, ()),
    "both": ({"new_session": True, "new_group": True}, ()),
    "blocked signals": ({}, (lambda: blocked(ALL),)),
    "ignored signals": ({}, (lambda: ignored(signal.SIGUSR1, signal.SIGINT, signal.SIGRTMIN),)),
    "what Python ignores": ({}, (lambda: ignored(signal.SIGPIPE, signal.SIGXFSZ),)),
    "ignored children": ({}, (lambda: ignored(signal.SIGCHLD),)),
    "all of that": ({"new_session": True}, (lambda: blocked(ALL), lambda: ignored(signal.SIGHUP))),
    "descriptors of others": ({}, (inheritable,)),
    "a umask": ({}, (other_umask,)),
    "a limit": ({}, (limited,)),
}


def seen(given: Mapping[str, object], capabilities: CapabilitySet | None = None) -> str:
    """What the program sees of itself; its standard error is a descriptor of its own."""
    out, inlet = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    words = given.get("argv", ())
    assert isinstance(words, tuple)
    base: dict[str, object] = {
        "executable": sys.executable, "environment": USUAL, "umask": -1, "stdin": null,
        "stdout": inlet, "stderr": null, "new_group": False,
    }  # fmt: skip
    argv = ("probe", "-I", "-S", "-c", PROBE, *words)
    program = Program(**{**base, **given, "argv": argv})  # type: ignore[arg-type]
    with spawn(program, capabilities=capabilities) as process:
        for fd in (inlet, null):
            os.close(fd)
        with os.fdopen(out) as stream:
            text = stream.read()
        with suppress(ChildProcessError):  # where they are ignored, none is left to ask
            assert process.wait() == 0
    return text


@pytest.mark.parametrize("row", ROWS)
def test_the_program_sees_no_difference(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, around = ROWS[row]
    found = []
    for can in (True, False):
        monkeypatch.setattr(_libc, "CAN_SPAWN", can)
        with ExitStack() as stack:
            for enter in around:
                stack.enter_context(enter())  # type: ignore[arg-type]
            found.append(seen(given))
    assert found[0] == found[1]
    assert "/dev/null" in found[0]


@pytest.mark.root
def test_nor_one_that_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for can in (True, False):
        monkeypatch.setattr(_libc, "CAN_SPAWN", can)
        found.append(seen({}, capabilities=NONE))
    assert found[0] == found[1]
    assert f"CapEff:\\t{0:016x}" in found[0]


def children() -> list[str]:
    """Every child of this process, those of other tests among them."""
    tasks = Path("/proc/self/task").glob("*/children")
    return sorted(pid for each in tasks for pid in each.read_text().split())


FAILURES: dict[str, tuple[str, dict[str, object]]] = {
    "nothing there": ("missing", {}),
    "not executable": ("plain", {}),
    "a folder": (".", {}),
    "below a file": ("plain/x", {}),
    "no program": ("text", {}),
    "an interpreter that is not there": ("script", {}),
    "links in a circle": ("circle", {}),
    "too long a name": ("x" * 300, {}),
    "too long a word": ("/bin/true", {"argv": ("true", "x" * 200_000)}),
    "too many words": ("/bin/true", {"argv": ("true", *["x" * 1000] * 4000)}),
    "no such folder": ("/bin/true", {"cwd": "missing"}),
    "a file as the folder": ("/bin/true", {"cwd": "plain"}),
}


@pytest.mark.parametrize("row", FAILURES)
def test_it_fails_alike(row: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("plain", ""), ("text", "exit 0\n"), ("script", "#!/no/such\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    (tmp_path / "circle").symlink_to("circle")
    path, given = FAILURES[row]
    null = os.open("/dev/null", os.O_RDWR)
    base: dict[str, object] = {"argv": ("x",), "environment": USUAL, "umask": -1}
    streams = {"stdin": null, "stdout": null, "stderr": null}
    found = []
    before = children()
    with chdir(tmp_path):
        for can in (True, False):
            monkeypatch.setattr(_libc, "CAN_SPAWN", can)
            with pytest.raises(OSError, match=r"\[Errno") as caught:
                spawn(Program(str(tmp_path / path), **{**base, **streams, **given}))  # type: ignore[arg-type]
            found.append((caught.type, caught.value.errno, caught.value.filename))
    os.close(null)
    assert children() == before  # none is left to be waited for
    assert found[0] == found[1]


def test_the_c_librarys_structures_have_room() -> None:
    """336 bytes are the most of any known library, and a set of signals has 1024 bits."""
    assert ctypes.sizeof(_libc._Opaque) >= 512
    assert ctypes.sizeof(_libc._SignalSet) * 8 == 1024
