"""Plain functions that run in the daemon."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.privsep.service import context

LOG = logging.getLogger("service.calls")


class OddError(Exception):
    """Its constructor does not take what its args hold."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


@context.entrypoint
def getpid() -> int:
    return os.getpid()


@context.entrypoint
def noop() -> None:
    return None


@context.entrypoint
def echo(value: object) -> object:
    return value


@context.entrypoint
def repeat(text: bytes, times: int) -> bytes:
    return text * times


@context.entrypoint
def length(value: bytes) -> int:
    return len(value)


@context.entrypoint
def give_set() -> object:
    return {1, 2}


@context.entrypoint
def give_half() -> str:
    return "\ud800"


@context.entrypoint
def keywords(first: str, *, second: int = 2) -> tuple[str, int]:
    return first, second


@context.entrypoint
def wait_for(path: str) -> str:
    """End when the file is there, as an entrypoint that ignores that nobody waits."""
    while not Path(path).exists():
        time.sleep(0.005)
    return path


@context.entrypoint
def start_and_wait(started: str, path: str) -> str:
    """Say that it began, by a file that holds the pid."""
    Path(f"{started}.new").write_text(str(os.getpid()))
    Path(f"{started}.new").rename(started)
    return wait_for(path)


@context.entrypoint
def append(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(text)


@context.entrypoint
def leave(code: int) -> None:
    sys.exit(code)


@context.entrypoint
def interrupt() -> None:
    raise KeyboardInterrupt("pressed")


@context.entrypoint
def fail(kind: str) -> None:
    class LocalError(Exception):
        pass

    errors = {
        "plain": RuntimeError("no", 42),
        "odd": OddError(code=7),
        "unsendable": ValueError("holds", {1}, object()),
        "local": LocalError("here"),
        "half": ValueError("half of a character: \ud800"),
        "halved": type("Halved", (Exception,), {"__module__": "half.\ud800"})("here"),
        "huge": ValueError(("x" * 50_000,) * 6_000),
        "missing": FileNotFoundError(2, "No such file or directory", "/nowhere"),
    }
    raise errors[kind]


@context.entrypoint
def log(level: int, text: str) -> None:
    LOG.log(level, "said %s", text)


@context.entrypoint
def log_half_of_a_character() -> int:
    thread = threading.Thread(target=LOG.warning, args=("half of a character: \ud800",))
    thread.start()
    thread.join()
    return 1


@context.entrypoint
def log_strangely() -> int:
    LOG.warning("with %s", "extra", extra={"thing": object(), "number": 5})
    LOG.warning("%d is no number", "x")
    return 1


@context.entrypoint
def log_error() -> None:
    try:
        fail.local("odd")
    except OddError:
        LOG.exception("it failed")


@context.entrypoint
def log_from_thread(text: str) -> None:
    thread = threading.Thread(target=LOG.warning, args=(text,))
    thread.start()
    thread.join()


@context.entrypoint
def nested(value: int) -> tuple[int, int]:
    return getpid(), value


@context.entrypoint
def open_descriptors() -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except OSError:
            continue
    return found


@context.entrypoint
def facts() -> dict[str, object]:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "cwd": str(Path.cwd()),
        "umask": umask,
        "session": os.getsid(0),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "modules": sorted(sys.modules),
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": os.getgroups(),
        "status": Path("/proc/self/status").read_text(),
    }


@context.entrypoint
def child_status() -> str:
    done = subprocess.run(
        ["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True
    )
    return done.stdout


@context.entrypoint_with_timeout(0.1)
def wait_briefly(path: str) -> str:
    return wait_for.local(path)


def undecorated() -> None:
    """Not for clients."""
