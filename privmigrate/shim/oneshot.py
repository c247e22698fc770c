"""The daemon behind `execution = daemon`: runs commands for clients that sudo started.

One datagram asks for a command, with four descriptors: the three streams and the folder. Only
root may ask, and only for what the daemon can give: whoever stands in other namespaces, under
other limits or priorities, in another control group, at a terminal, is told no before anything
happened, and runs the command itself. After `B` (begun) that would be to run it twice.
"""

import array
import os
import resource
import socket
from dataclasses import dataclass
from typing import Final

from privmigrate.errors import Refused
from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.linux.process import read_io_priority, read_peer
from privmigrate.shim import client
from privmigrate.shim.connections import Server
from privmigrate.shim.daemon import Executor, Outgrown, Started, Streams

# To see in which namespaces a client stands, who may hold more than we do; no command gets it.
OWN: Final = CapabilitySet.of(Capability.CAP_SYS_PTRACE)
DESCRIPTORS: Final = 4
_LONGEST: Final = 1 << 18
_NAMESPACES: Final = ("mnt", "net", "pid", "ipc", "uts", "user")
_LIMITS: Final = tuple(
    sorted(value for name, value in vars(resource).items() if name.startswith("RLIMIT_"))
)
_SAME_FILES: Final = ("oom_score_adj", "attr/current", "root")
_SAME_LINES: Final = ("SigIgn", "SigBlk", "Cpus_allowed", "Seccomp")


@dataclass(frozen=True, slots=True)
class Request:
    """A command as its client stands there."""

    umask: int
    argv: tuple[str, ...]
    environ: dict[bytes, bytes]


def parse_request(data: bytes, config: str) -> Request:
    """Read the datagram; raise Refused if it is none of ours, or about another configuration."""
    fields = data.split(b"\0")
    if fields[0] != client.EXEC_MAGIC or len(fields) < client.EXEC_FIXED:
        raise Refused("not a request")
    try:
        umask, number = int(fields[1], 8), int(fields[3])
    except ValueError:
        raise Refused("not a request") from None
    words = fields[client.EXEC_FIXED :]
    if not 0 < number <= len(words) or not 0 <= umask <= 0o777:  # noqa: PLR2004 - all bits
        raise Refused("not a request")
    if os.fsdecode(fields[2]) != config:
        raise Refused(f"not about {config}")
    environ = {}
    for entry in words[number:]:
        name, _, value = entry.partition(b"=")
        environ[name] = value
    return Request(umask, tuple(map(os.fsdecode, words[:number])), environ)


def why_not(pid: int, descriptors: list[int], *, in_group: bool = True) -> str:
    """Say what of a client's circumstances this daemon cannot give; nothing if it can.

    Without `in_group` commands are meant to be in the daemon's control group.
    """
    try:
        if in_group and _look("/proc/self/cgroup") != _look(f"/proc/{pid}/cgroup"):
            return "another control group"
        return _why_not(pid, descriptors)
    except OSError as error:
        return f"what cannot be seen ({error.filename}: {error.strerror})"


def _why_not(pid: int, descriptors: list[int]) -> str:
    theirs = f"/proc/{pid}"
    for name in _NAMESPACES:
        if os.readlink(f"/proc/self/ns/{name}") != os.readlink(f"{theirs}/ns/{name}"):  # noqa: PTH115
            return f"another {name} namespace"
    for limit in _LIMITS:
        if resource.prlimit(pid, limit) != resource.prlimit(0, limit):
            return f"other limits ({limit})"
    if os.getpriority(os.PRIO_PROCESS, pid) != os.getpriority(os.PRIO_PROCESS, 0):
        return "another priority"
    if read_io_priority(pid) != read_io_priority(0):
        return "another I/O priority"
    if os.sched_getscheduler(pid) != os.sched_getscheduler(0):
        return "another scheduling policy"
    if _terminal(theirs) or any(os.isatty(fd) for fd in descriptors[:3]):
        return "a terminal"
    return _differing(theirs)


def _differing(theirs: str) -> str:
    for name in _SAME_FILES:
        if _look(f"/proc/self/{name}") != _look(f"{theirs}/{name}"):
            return f"another {name}"
    ours, found = _lines("/proc/self"), _lines(theirs)
    for name in _SAME_LINES:
        if ours.get(name) != found.get(name):
            return f"another {name}"
    if found.get("NoNewPrivs") != "0" and ours.get("NoNewPrivs") == "0":
        return "no_new_privs"
    return ""


def held_by(process: str) -> int:
    """The permitted set of a process, as a mask."""
    return int(_lines(process).get("CapPrm", "0"), 16)


def _look(path: str) -> str:
    try:
        if path.endswith("/root"):
            return os.readlink(path)  # noqa: PTH115 - a text
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - as elsewhere
            return file.read()
    except OSError as error:
        return str(error.errno)


def _lines(process: str) -> dict[str, str]:
    text = _look(f"{process}/status")
    return dict(line.split(":\t", 1) for line in text.split("\n") if ":\t" in line)


def _terminal(process: str) -> bool:
    return _look(f"{process}/stat").rpartition(")")[2].split()[4] != "0"


class OneShotServer(Server):
    """A server for clients of root's."""

    def __init__(
        self, executor: Executor, config: str, listener: socket.socket, *, of_unit: bool = False
    ) -> None:
        """Serve; the control group of a unit's daemon is that of its commands, too."""
        super().__init__(executor, listener)
        self._in_group: Final = not of_unit
        self._config: Final = config

    def answer(self, sock: socket.socket) -> None:
        """Serve one command."""
        peer = read_peer(sock)
        if peer.pidfd is not None:
            os.close(peer.pidfd)
        if peer.uid:
            self.executor.log.to_syslog_only(
                client.ERROR, f"refused: pid {peer.pid} of uid {peer.uid} is not root"
            )
            return
        descriptors: list[int] = []
        try:
            size = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
            data, ancillary, flags, _ = sock.recvmsg(_LONGEST, size, socket.MSG_CMSG_CLOEXEC)
            for level, kind, rights in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    found = array.array("i")
                    found.frombytes(rights[: len(rights) - len(rights) % found.itemsize])
                    descriptors.extend(found)
            if not data:
                return
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) != DESCRIPTORS:
                raise Refused("too large a request, or not four descriptors")  # noqa: TRY301
            self._serve(sock, peer.pid, parse_request(data, self._config), descriptors)
        except Refused as refused:
            self.executor.log.to_syslog_only(client.ERROR, f"refused: {refused}")
            sock.send(b"N" + str(refused).encode())
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _serve(
        self, sock: socket.socket, pid: int, request: Request, descriptors: list[int]
    ) -> None:
        if why := why_not(pid, descriptors, in_group=self._in_group):
            self.decline(sock, why)
            return
        with self.using(), self.place():
            try:
                command = self.prepare(list(request.argv), request.environ)
            except (client.Quit, Outgrown) as error:
                # the client's own decision says it to whoever called
                sock.send(b"N" + str(error).encode(errors="replace"))
                if isinstance(error, Outgrown):
                    raise
                return
            wanted = held_by("/proc/self") if command.capabilities is None else command.capabilities
            if wanted & ~held_by(f"/proc/{pid}"):
                self.decline(sock, "fewer capabilities than the command would get here")
                return
            folder = f"/proc/self/fd/{descriptors[3]}"
            sock.send(b"B")
            try:
                streams = Streams(*descriptors[:3])
                started = self.start(command, streams, cwd=folder, umask=request.umask)
            except client.Quit as quit_:
                sock.send(b"F" + client.encode(quit_.message))
                return
            with started:
                while descriptors:
                    os.close(descriptors.pop())
                _watch(sock, started)
                sock.send(b"E" + str(started.wait()).encode())

    def decline(self, sock: socket.socket, why: str) -> None:
        """Have the client run its command itself, and keep why for `shim status`."""
        self.report.count("declined", f"declined: {why}")
        sock.send(b"N" + why.encode())


def _watch(sock: socket.socket, started: Started) -> None:
    """Pass on signals until the command ends; a client that is gone leaves it, as rootwrap's."""
    while not started.process.ends_before(sock.fileno()):
        data = sock.recv(_LONGEST)
        if not data:
            return
        if data[:1] == b"K" and data[1:].isdigit():
            started.process.send(int(data[1:]))
