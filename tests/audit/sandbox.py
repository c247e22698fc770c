"""Where attacks are tried: a folder of nobody's, and oslo.rootwrap run by nobody in it.

What stands for root's files and for the attacker's program lies in that folder, so an attack that
works leaves its mark there and nowhere else, and nothing here is run with privilege. In the texts
of attacks @ is the folder.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
SYSTEM_DIRS: Final = "/usr/sbin,/usr/bin,/sbin,/bin"
# The wrapper as `cinder-rootwrap` and its like start it.
ROOTWRAP: Final = "from oslo_rootwrap.cmd import main; main()"
SECRET: Final = "root:x:secret:1\n"

# Programs that are not here, or work only where PID 1 or a daemon of theirs runs: each does what
# its manual says of the one form that an attack uses.
FAKES: Final[Mapping[str, str]] = {
    # docker-run(1): the command runs in a container where -v /:/m has put the host's files
    "docker": 'while [ "$1" != chroot ]; do shift; done; shift 2; exec "$@"',
    # systemd-run(1): the command runs as a transient service of PID 1
    "systemd-run": 'exec "$@"',
    # tcpdump(1), -z with -G: the command is run with each file that is complete
    "tcpdump": 'while [ "$1" != -z ]; do shift; done; exec "$2" /dev/null',
    # modprobe.d(5), -C: the command of an "install" line runs instead of loading the module
    "modprobe": 'exec $(sed -n "s/^install $3 //p" "$2")',
    # pip-install(1): a folder's setup.py is executed
    "pip": 'exec python3 "$2/setup.py"',
    # useradd(8), -o -u 0: a second user with uid 0
    "useradd": 'echo "$6:$5:0:0::/:/bin/sh" >>"$(dirname "$0")/../passwd"',
    # reboot(8), -f: at once
    "reboot": 'test "$1" = -f && echo down >"$(dirname "$0")/../out/mark"',
    # ncat(1) is the executable of a filter that was meant for ip
    "ncat": 'echo "$*" >"$(dirname "$0")/../out/mark"',
}
# What exists here works only as root, with PID 1 or a network, or would do what it is asked for.
ALWAYS_FAKE: Final = ("docker", "ncat", "pip", "reboot", "systemd-run", "tcpdump", "useradd")


@dataclass(frozen=True)
class Sandbox:
    """A folder of nobody's with the things that attacks are about."""

    folder: Path

    def fill(self, text: str) -> str:
        return text.replace("@", str(self.folder))

    def words(self, line: str) -> tuple[str, ...]:
        return tuple(shlex.split(self.fill(line)))

    @property
    def mark(self) -> Path:
        return self.folder / "out/mark"

    def own(self, uid: int = NOBODY) -> None:
        """Give all of it to nobody, or all but ``out`` to root, where we may."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, uid, uid, follow_symlinks=False)
            os.chown(self.folder / "out", NOBODY, NOBODY)

    def configure(self, entries: str, *, exec_dirs: str = "", filters_path: str = "@/d") -> Path:
        """Write a rootwrap.conf with these entries; programs of the folder are found first."""
        (self.folder / "d").mkdir(exist_ok=True)
        (self.folder / "d/a.filters").write_text(f"[Filters]\n{self.fill(entries)}\n")
        conf = self.folder / "rootwrap.conf"
        dirs = exec_dirs or f"@/bin,{SYSTEM_DIRS}"
        conf.write_text(self.fill(f"[DEFAULT]\nfilters_path={filters_path}\nexec_dirs={dirs}\n"))
        self.own()
        return conf

    def rootwrap(
        self, conf: Path, argv: tuple[str, ...], before: str = "", then: str = "", path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Have oslo.rootwrap decide on a command line and execute it, both as nobody.

        With shell commands before or behind, it is root of a user, mount and network namespace of
        its own.
        """
        words = [sys.executable, "-W", "ignore", "-c", ROOTWRAP, str(conf), *argv]
        if before or then:
            steps = (self.fill(before) or ":", shlex.join(words), self.fill(then) or ":")
            words = ["unshare", "-Urmn", "sh", "-c", "; ".join(steps)]
        return self.as_nobody(words, path=path)

    @contextmanager
    def victim(self, program: str = "sleep") -> Iterator[subprocess.Popen[bytes]]:
        """A process of nobody's that sleeps."""
        nobody = NOBODY if os.geteuid() == 0 else None
        groups: list[int] | None = None if nobody is None else []
        command = [program, "60"]
        with subprocess.Popen(command, user=nobody, group=nobody, extra_groups=groups) as process:
            try:
                yield process
            finally:
                process.kill()

    def as_nobody(self, words: list[str], *, path: str = "") -> subprocess.CompletedProcess[str]:
        nobody = NOBODY if os.geteuid() == 0 else None
        environ = {
            "PATH": path or os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
        }
        return subprocess.run(
            words, user=nobody, group=nobody, extra_groups=None if nobody is None else [],
            cwd=self.folder, input="written\n", capture_output=True, text=True, timeout=60,
            check=False, env=environ,
        )  # fmt: skip

    def shows(self, effect: str, done: subprocess.CompletedProcess[str]) -> bool:
        """Whether the effect of an attack is there."""
        kind, _, what = effect.partition(" ")
        match kind:
            case "ran":
                return self.mark.exists()
            case "read":
                return "secret" in done.stdout
            case "said":
                return what in done.stdout
            case "gone":
                return not (self.folder / what).exists()
            case "wrote":
                path = self.folder / what
                return path.exists() and path.read_text() != SECRET
            case "owned":
                return (self.folder / what).stat().st_mode & 0o777 == 0o666
            case _:
                raise AssertionError(effect)


@contextmanager
def sandbox(where: str = "/var/tmp") -> Iterator[Sandbox]:
    with tempfile.TemporaryDirectory(dir=where, prefix="pm-attack-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for new in ("bin", "evil", "im", "im-evil", "a", "out"):
            (folder / new).mkdir()
        for program in ("x", "evil/true", "evil/tool"):
            path = folder / program
            path.write_text(f"#!/bin/sh\necho ran >{folder}/out/mark\n")
            path.chmod(0o755)
        (folder / "hosts").write_text("one\n")
        for file in ("shadow", "passwd", "im-evil/f", "resolvXconf"):
            (folder / file).write_text(SECRET)
        (folder / "disk").write_text("a boot sector\n")
        (folder / "modprobe.conf").write_text(f"install anything {folder}/x\n")
        (folder / "batch").write_text("link set lo up\n")
        (folder / "tc").write_text("qdisc add dev lo root pfifo\n")
        (folder / "package").mkdir()
        (folder / "package/setup.py").write_text(f"import os\nos.execl('{folder}/x', 'x')\n")
        for program, text in FAKES.items():
            if program in ALWAYS_FAKE or not shutil.which(program):
                path = folder / "bin" / program
                path.write_text(f"#!/bin/sh\n{text}\n")
                path.chmod(0o755)
        # oslo.privsep's own
        (folder / "bin/privsep-helper").symlink_to(Path(sys.executable).parent / "privsep-helper")
        box = Sandbox(folder)
        box.own()
        yield box
