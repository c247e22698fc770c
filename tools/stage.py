"""Install privmigrate and a converted service as an administrator would, and take it all away.

The demonstration and the end-to-end tests run what is shipped: a wheel, built from the sdist, in
an empty root-owned environment outside the checkout (whose folders a service's user may not be
able to enter), used by an unprivileged user through sudo. Needs root and what tools/setup made.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.modules import PROJECT

WHEELHOUSE: Final = PROJECT / ".cache" / "wheelhouse"
SHIPPED: Final = ("privmigrate", "pyproject.toml", "README.md", "LICENSE")
SAMPLE: Final = PROJECT / "filters" / "sample"
# Folders that the sample service's filters name.
SAMPLE_FOLDERS: Final = (Path("/etc/sample"), Path("/var/lib/sample"))
SAMPLE_LOCK: Final = "/run/lock/privmigrate-sample.lock"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def execute(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(target: Path) -> tuple[Path, Path]:
    """Build the sdist from a copy of the sources, and the wheel from the sdist, into `target`."""
    with tempfile.TemporaryDirectory(prefix="privmigrate-build-") as scratch:
        copy = Path(scratch) / "source"
        copy.mkdir()
        for name in SHIPPED:
            source = PROJECT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        make = "import sys, setuptools.build_meta as b; b.build_sdist(sys.argv[1])"
        execute(sys.executable, "-c", make, target, cwd=copy)
        (sdist,) = target.glob("privmigrate-*.tar.gz")
        pip = (sys.executable, "-m", "pip", "--isolated", "wheel", "--quiet", "--no-index")
        execute(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", target, sdist)
        (wheel,) = target.glob("privmigrate-*.whl")
        return sdist, wheel


def make_environment(folder: Path, *requirements: str | Path) -> Path:
    """Make an empty environment of the system's Python and install from the wheelhouse alone."""
    base = getattr(sys, "_base_executable", sys.executable)
    execute(base, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--isolated", "--python", python, "install", "--quiet")
    execute(*pip, "--no-index", "--find-links", WHEELHOUSE, *requirements)
    return python


@contextlib.contextmanager
def service_user(name: str) -> Iterator[pwd.struct_passwd]:
    """Make a system user without a home, a shell or a password, and remove it in the end."""
    execute("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], capture_output=True, check=False)


@contextlib.contextmanager
def sudoers(name: str, text: str) -> Iterator[None]:
    """Place a sudoers file that visudo has accepted, and remove it in the end."""
    target = Path("/etc/sudoers.d") / name
    with tempfile.NamedTemporaryFile("w", prefix="sudoers-") as draft:
        draft.write(text)
        draft.flush()
        execute("visudo", "-cf", draft.name)
        execute("install", "-o", "root", "-g", "root", "-m", "0440", draft.name, target)
    try:
        yield
    finally:
        target.unlink(missing_ok=True)


@contextlib.contextmanager
def sample_folders() -> Iterator[None]:
    """Make the folders of the sample service, where no one else has; remove them in the end."""
    with open(SAMPLE_LOCK, "w") as lock:  # noqa: PTH123 - held open as long as it is locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in SAMPLE_FOLDERS:
            folder.mkdir(mode=0o755)
        (SAMPLE_FOLDERS[1] / "images").mkdir(mode=0o755)
        try:
            yield
        finally:
            for folder in SAMPLE_FOLDERS:
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """An installed service: where it is, and the user it runs as."""

    root: Path
    python: Path
    user: pwd.struct_passwd

    @property
    def helper(self) -> Path:
        """The helper, as sudo is told to start it."""
        return self.python.with_name("privmigrate-helper")

    @property
    def site_packages(self) -> Path:
        """Where the service's own packages are installed."""
        (found,) = (self.root / "venv" / "lib").glob("python3.*/site-packages")
        return found

    def start(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command as the service's user, in the environment that a service would have."""
        return subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": PATH, "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment},
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=[],
        )

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as the service's user."""
        process = self.start(*command)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def convert(self, *arguments: str | Path) -> str:
        """Convert with the installed command into the service's packages; return its table."""
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            command = (self.python.with_name("privmigrate"), "convert", *arguments)
            table = execute(*command, "--output", scratch, cwd=self.root)
            for package in Path(scratch).iterdir():
                shutil.copytree(package, self.site_packages / package.name)
        return table


def helper_rules(user: str, helper: Path, *options: str) -> str:
    """Sudoers lines that let `user` start the helper with exactly these options, and a socket.

    Each option is a regular expression over the words before ``--privsep_sock_path``. They are
    written as such (sudo 1.9.10), because in the older wildcard syntax a star also matches
    blanks, and with them any further option. `secure_path` lets callers say `privmigrate-helper`.
    """
    socket = "--privsep_sock_path [a-zA-Z0-9_./-]+"
    lines = [f'Defaults:{user} secure_path="{helper.parent}:{PATH}"']
    lines += [f"{user} ALL=(root) NOPASSWD: {helper} ^{words} {socket}$" for words in options]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def stage(user_name: str, *extra_requirements: str) -> Iterator[Stage]:
    """Install privmigrate's wheel for a new user `user_name`."""
    root = Path(tempfile.mkdtemp(prefix="privmigrate-", dir="/var/lib"))
    try:
        root.chmod(0o755)
        old_umask = os.umask(0o022)
        try:
            dist = root / "dist"
            dist.mkdir()
            _, wheel = build(dist)
            python = make_environment(root / "venv", wheel, *extra_requirements)
        finally:
            os.umask(old_umask)
        with service_user(user_name) as user:
            yield Stage(root, python, user)
    finally:
        shutil.rmtree(root, ignore_errors=True)
