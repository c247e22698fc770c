"""Runs commands through oslo-rootwrap and through the shim, and compares what anybody could see.

    sudo python -m tools.shim_conformance [--execution child|exec|daemon] [--verbose]

Under real sudo, as an unprivileged user. Seen from outside: standard output and error, exit
status. Seen by the command: environment, folder, umask, limits, priorities, ids, groups, session,
descriptors, signals, and who its ancestors are. Exit status 1 if anything differs.
"""

# ruff: noqa: D102, D103, E501, PLW1509 - tables and a program; circumstances say what they are

import argparse
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from privmigrate.errors import EXIT_BAD_CONFIG
from privmigrate.rootwrap.settings import EXECUTIONS
from privmigrate.shim.script import render_client

PROJECT: Final = Path(__file__).resolve().parent.parent
USER: Final = "nobody"
SUDOERS: Final = Path("/etc/sudoers.d/privmigrate-conformance")
PROBE: Final = r"""#!/usr/bin/python3 -IS
import posix, sys, _signal
import json, os, resource
def link(path):
    try: return posix.readlink(path)
    except OSError as e: return e.strerror
def ancestors(pid):
    while pid > 1:
        stat = open(f"/proc/{pid}/stat").read()
        name, rest = stat.partition("(")[2].rpartition(")")[::2]
        yield name
        pid = int(rest.split()[1])
def line(name):
    return [l.split(":\t")[1].strip() for l in open("/proc/self/status") if l.startswith(name + ":")]
chain = []
for name in ancestors(posix.getppid()):
    chain.append("wrapper" if "rootwrap" in name or name.startswith("python") else name)
    if name == "sudo": break
with os.popen(f"ionice -p {os.getpid()}") as file:
    priority = file.read()
seen = {
    "argv": sys.argv, "environ": sorted((k.decode("latin-1"), v.decode("latin-1")) for k, v in posix.environ.items()),
    "cwd": link("/proc/self/cwd"), "umask": posix.umask(0), "ids": [posix.getresuid(), posix.getresgid(), posix.getgroups()],
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "nice": posix.getpriority(0, 0), "ionice": priority, "affinity": sorted(posix.sched_getaffinity(0)),
    "session": [posix.getsid(0) == posix.getsid(posix.getppid()), posix.getpgrp() == posix.getpgid(posix.getppid()), posix.getpid() == posix.getpgrp()],
    "fds": sorted((int(f), link(f"/proc/self/fd/{f}").partition(":")[0]) for f in posix.listdir("/proc/self/fd") if int(f) < 3 or "/proc/" not in link(f"/proc/self/fd/{f}") and link(f"/proc/self/fd/{f}") != "No such file or directory" and __file__ not in link(f"/proc/self/fd/{f}")),
    "blocked": line("SigBlk"), "ignored": line("SigIgn"), "oom": open("/proc/self/oom_score_adj").read().strip(),
    "terminal": open("/proc/self/stat").read().rpartition(")")[2].split()[4] != "0",
    "namespaces": sorted(link(f"/proc/self/ns/{n}") for n in posix.listdir("/proc/self/ns")),
    "cgroup": open("/proc/self/cgroup").read(), "ancestors": chain, "stdin": sys.stdin.read() if "read" in sys.argv else None,
}
print(json.dumps(seen, sort_keys=True))
print("to stderr", file=sys.stderr)
sys.exit(int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else 0)
"""
FILTERS: Final = """[Filters]
probe: CommandFilter, pm-probe, root
probe_as: CommandFilter, pm-probe-as, {user}
env: EnvFilter, env, root, A=, B=, pm-probe
lang: EnvFilter, pm-probe, root, LC_ALL=
sh: CommandFilter, /bin/sh, root
cat: RegExpFilter, /bin/cat, root, cat, /etc/(hostname|os-release)
cat_: ReadFileFilter, /etc/passwd
path: PathFilter, pm-path, root, pass, /etc, fixed
kill: KillFilter, root, /bin/sleep, -9, -TERM
sleep: CommandFilter, sleep, root
nice: ChainingRegExpFilter, nice, root, nice, -n, \\d+
netns: IpNetnsExecFilter, ip, root
missing: CommandFilter, pm-missing, root
missing2: CommandFilter, /nowhere/pm-missing2, root
noexec: CommandFilter, pm-noexec, root
noshebang: CommandFilter, pm-noshebang, root
echo: CommandFilter, echo, root
odd: NoSuchFilter, x, root
broken: RegExpFilter, echo, root, echo2, (a
"""
Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One command and the circumstances that it is run in."""

    words: tuple[str, ...]
    stdin: bytes | None = b""
    options: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    cwd: str = "/"
    signal: int = 0

    @property
    def name(self) -> str:
        """How it is called in a report."""
        parts = [" ".join(map(repr, self.words))]
        parts += [f"[{self.options}]"] if self.options else []
        parts += [signal.Signals(self.signal).name] if self.signal else []
        parts += [f"in {self.cwd}"] if self.cwd != "/" else []
        parts += [self.before.__name__] if self.before else []
        return " ".join(parts)


def low_umask() -> None:
    os.umask(0o077)


def no_umask() -> None:
    os.umask(0)


def nice_ten() -> None:
    os.nice(10)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))


def many_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))


def cpu_limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (5, 7))


def no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ignore_children() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def block_usr1() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


def one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def idle_io() -> None:
    subprocess.run(["ionice", "-c", "idle", "-p", str(os.getpid())], check=True)


def new_session() -> None:
    os.setsid()


def closed_input() -> None:
    os.close(0)


def extra_descriptor() -> None:
    os.dup2(1, 9)


CIRCUMSTANCES: Final = (
    low_umask, no_umask, nice_ten, few_files, many_files, cpu_limit, no_core, ignore_hangup,
    ignore_interrupt, ignore_children, block_usr1, one_processor, idle_io, new_session, closed_input,
    extra_descriptor,
)  # fmt: skip


def cases() -> Iterator[Case]:
    """Some hundred commands."""
    for words in (
        ("pm-probe",), ("pm-probe", "3"), ("pm-probe", "255"), ("pm-probe", "", "a b", "\n", "é"),
        ("pm-probe", "--help"), ("pm-probe", "-c", "x"), ("pm-probe-as",), ("pm-probe-as", "7"),
        ("env", "A=1", "B=2", "pm-probe"), ("env", "A=1", "pm-probe"), ("A=1", "B=2", "pm-probe"),
        ("env", "A=", "B=2", "pm-probe"), ("env", "B=2", "A=1", "pm-probe", "x"), ("env",),
        ("env", "env", "A=1", "B=2", "pm-probe"), ("LC_ALL=C", "pm-probe"), ("env", "LC_ALL=fr", "pm-probe"),
        ("sh", "-c", "exit 0"), ("sh", "-c", "exit 1"), ("sh", "-c", "exit 96"), ("sh", "-c", "exit 99"),
        ("sh", "-c", "exit 128"), ("sh", "-c", "exit 200"), ("sh", "-c", "echo out; echo err >&2"),
        *(("sh", "-c", f"kill -{n} $$") for n in (1, 2, 3, 6, 9, 10, 11, 13, 14, 15)),
        ("sh", "-c", "ulimit -a"), ("sh", "-c", "id"), ("sh", "-c", "pwd"), ("sh", "-c", "umask"),
        ("sh", "-c", "ps -o comm= -p $PPID"), ("sh", "-c", "yes | head -1"), ("/bin/sh", "-c", "echo $0"),
        ("/usr/bin/sh", "-c", "echo"), ("/tmp/sh", "-c", "echo"), ("sh",), ("cat", "/etc/hostname"),
        ("cat", "/etc/hostname\n"), ("cat", "/etc/passwd"), ("cat", "/etc/shadow"), ("cat",), ("cat", "x", "y"),
        ("pm-path", "a", "/etc/hostname", "fixed"), ("pm-path", "a", "/etc/../etc", "fixed"),
        ("pm-path", "a", "/root", "fixed"), ("pm-path", "a", "/etcetera", "fixed"), ("pm-path", "a"),
        ("pm-path", "a", "relative", "fixed"), ("kill", "-9", "1"), ("kill", "1"), ("kill", "-9", "x"),
        ("kill", "-9", "999999999"), ("kill",), ("nice", "-n", "5", "pm-probe"), ("nice", "-n", "x", "pm-probe"),
        ("nice", "-n", "5", "/nowhere/pm-probe"), ("nice", "-n", "5", "unknown"), ("nice", "-n", "5"),
        ("ip", "netns", "exec", "nope", "pm-probe"), ("ip", "a"), ("pm-missing",), ("pm-missing", "a"),
        ("pm-missing2",), ("/nowhere/pm-missing2", "x"), ("pm-noexec",), ("pm-noshebang",), ("unknown",),
        ("unknown", "a b", "é", "\n"), ("",), ("", ""), ("echo", "-n"), ("echo2", "a"), ("echo", "\\n"),
        ("sudo", "id"), ("privsep-helper",), ("privsep-helper", "--help"), ("-h",), ("--version",), (),
    ):  # fmt: skip
        yield Case(tuple(words))
    for circumstance in CIRCUMSTANCES:
        yield Case(("pm-probe", "x"), before=circumstance)
        yield Case(("pm-probe-as",), before=circumstance)
    yield Case(("pm-probe", "read"), stdin=b"some input\n")
    yield Case(("pm-probe", "read"), stdin=b"x" * 300_000)
    yield Case(("sh", "-c", "cat"), stdin=b"\0\xff" * 100_000)
    yield Case(("sh", "-c", "head -c 1"), stdin=b"x" * 300_000)
    yield Case(("pm-probe",), environ={"LANG": "C", "PM_SECRET": "x", "LC_CTYPE": "de_DE"})
    yield Case(("pm-probe",), environ={"PATH": "/usr/bin", "PYTHONPATH": "/tmp", "LD_PRELOAD": "x"})
    for cwd in ("/tmp", "/etc", "/usr/share"):
        yield Case(("pm-probe",), cwd=cwd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        yield Case(("sh", "-c", "echo up; exec sleep 5"), signal=number)
    for options in ("rlimit_nofile=200", "rlimit_nofile=100000", "use_syslog=True",
                    "use_syslog=True\nsyslog_log_level=INFO", "use_syslog=maybe", "rlimit_nofile=x",
                    "syslog_log_level=LOUD", "syslog_log_facility=nowhere", "[broken", "exec_dirs=/bin",
                    "exec_dirs=", "daemon_timeout=x"):  # fmt: skip
        yield Case(("pm-probe",), options=options)
        yield Case(("unknown", "x"), options=options)
        yield Case(("pm-missing",), options=options)


class Stage:
    """Two wrappers, a configuration, filters and programs, in folders of root's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.execution = EXECUTIONS[0]
        folder.chmod(0o755)
        self.programs = folder / "bin"
        self.programs.mkdir()
        (folder / "rootwrap.d").mkdir()
        (folder / "rootwrap.d" / "a.filters").write_text(FILTERS.format(user="daemon"))
        for name in ("pm-probe", "pm-probe-as"):
            self.program(name, PROBE)
        self.program("pm-path", '#!/bin/sh\necho "$@"\n')
        self.program("pm-noshebang", "echo no shebang\n")
        self.program("pm-noexec", "#!/nowhere/interpreter\n")
        self.theirs = folder / "theirs" / "x-rootwrap"
        self.ours = folder / "ours" / "x-rootwrap"
        for wrapper in (self.theirs, self.ours):
            wrapper.parent.mkdir()
        source = f"#!{sys.executable}\nimport sys\nfrom oslo_rootwrap.cmd import main\nsys.exit(main())\n"
        self.theirs.write_text(source)
        slow_path = folder / "slow"
        slow_path.write_text(
            f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
        )
        slow = [sys.executable, "-I", str(slow_path), "--as"]
        interpreter = os.path.realpath(sys.executable)
        self.ours.write_text(render_client(interpreter, slow, "for a test"))
        for wrapper in (self.theirs, self.ours):
            wrapper.chmod(0o755)

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def configuration(self, options: str) -> Path:
        path = self.folder / f"{abs(hash(options))}.conf"
        lines = [f"filters_path={self.folder}/rootwrap.d"]
        if "exec_dirs" not in options:
            lines.append(f"exec_dirs={self.programs},/sbin,/usr/sbin,/bin,/usr/bin")
        lines += [options]
        if not options.startswith("["):
            lines += ["[privmigrate]", f"execution = {self.execution}"]
        text = "\n".join(("[DEFAULT]", *lines, ""))
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return path


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command did, as its caller saw it; `lines` is its output, decoded where it is JSON."""

    status: int
    stdout: object
    stderr: str


def run(stage: Stage, wrapper: Path, case: Case) -> Seen:
    """Run a case through one of the wrappers."""
    account = pwd.getpwnam(USER)
    words = ["sudo", "-n", str(wrapper)]
    if case.words != ("-h",):
        words.append(str(stage.configuration(case.options)))
    closed = case.before is closed_input
    process = subprocess.Popen(
        [*words, *case.words],
        stdin=subprocess.DEVNULL if case.signal else None if closed else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=case.cwd,
        env={"PATH": os.environ["PATH"], **case.environ},
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        preexec_fn=case.before,
        restore_signals=case.before is None,
        pass_fds=(),
        close_fds=case.before is not extra_descriptor,
    )
    if case.signal:
        assert process.stdout
        up = process.stdout.readline()
        assert up == b"up\n", process.communicate()
        send(process.pid, case.signal)
    out, err = process.communicate(None if case.signal or closed else case.stdin, timeout=60)
    text = err.decode(errors="surrogateescape").replace(str(wrapper.parent), "")
    out = out.replace(os.fsencode(wrapper.parent), b"")
    return Seen(process.returncode, decode(out), without_traceback(text))


def send(pid: int, number: int) -> None:
    """Signal the wrapper below sudo, as its own caller could not; root kills it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(children[0]), number)


def decode(out: bytes) -> object:
    try:
        value: object = json.loads(out)
    except ValueError:
        return out
    return value


def without_traceback(text: str) -> str:
    """Of a traceback only that it was one: ours is a message instead."""
    return "(an explanation)" if "Traceback" in text else text


def is_explained(theirs: Seen, ours: Seen) -> bool:
    """Whether we say in a line what they say in a traceback, or where rootwrap.conf is wrong."""
    if theirs.status == ours.status == EXIT_BAD_CONFIG:
        return ours.stderr.startswith(theirs.stderr) and ": error: " in ours.stderr
    return theirs.stderr == "(an explanation)" and "Traceback" not in ours.stderr


def compare(theirs: Seen, ours: Seen) -> list[str]:
    """Every difference, in a line each."""
    found = []
    if theirs.status != ours.status:
        found.append(f"status {theirs.status} / {ours.status}")
    if theirs.stderr != ours.stderr and not is_explained(theirs, ours):
        found.append(f"stderr {theirs.stderr!r} / {ours.stderr!r}")
    one, other = theirs.stdout, ours.stdout
    if isinstance(one, dict) and isinstance(other, dict):
        found += [f"{k}: {one[k]} / {other.get(k)}" for k in one if one[k] != other.get(k)]
    elif one != other:
        found.append(f"stdout {one!r} / {other!r}")
    return found


def is_expected(execution: str, line: str) -> bool:
    """Whether a difference is what that way is: other ancestors, a status as sudo gives it."""
    if execution == "child":
        return False
    if line.startswith("ancestors: ") or "b'x-rootwrap\\n' /" in line:
        return True
    word, _, values = line.partition(" ")
    theirs, _, ours = values.partition(" / ")
    return word == "status" and execution == "exec" and int(theirs) == 128 - int(ours)


@contextmanager
def staged() -> Iterator[Stage]:
    """A stage that the user may reach through sudo; nothing of it stays."""
    # below / and not /tmp: every folder on the way has to be root's alone
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-conformance-", dir="/opt"))
    try:
        stage = Stage(folder)
        SUDOERS.write_text(f"{USER} ALL = (root) NOPASSWD: {stage.theirs}, {stage.ours}\n")
        SUDOERS.chmod(0o440)
        yield stage
    finally:
        SUDOERS.unlink(missing_ok=True)
        shutil.rmtree(folder)


def main() -> int:
    """Run all cases, print what differs, and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--execution", choices=EXECUTIONS, default=EXECUTIONS[0], help="in which of our ways"
    )
    parser.add_argument("--verbose", action="store_true", help="name every case")
    arguments = parser.parse_args()
    number, different = 0, 0
    begin = time.monotonic()
    with staged() as stage:
        for case in cases():
            number += 1
            stage.execution = arguments.execution
            found = compare(run(stage, stage.theirs, case), run(stage, stage.ours, case))
            if found or arguments.verbose:
                print(case.name, "differs" if found else "is the same")
            for line in found:
                print(f"    {line[:200]}")
            different += any(not is_expected(arguments.execution, line) for line in found)
    seconds = time.monotonic() - begin
    print(f"{number} commands, {different} differ unexpectedly, {seconds:.0f} s")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
