"""Any bytes in any order from a client: the daemon serves its other connections, and leaks nothing.

For longer than in every run: PRIVMIGRATE_FUZZ_SECONDS=600, with another PRIVMIGRATE_FUZZ_SEED.
"""

import array
import os
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest

from privmigrate.privsep.messages import (
    ATTACH,
    CALL,
    CANCEL,
    DATAGRAM,
    FIELDS,
    PARTS,
    RESULT,
    WELCOME,
)
from tests.privsep.conftest import wait_until
from tests.privsep.test_hostile import GETPID, PREFIX, Raw, packed, resident

SECONDS = float(os.environ.get("PRIVMIGRATE_FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("PRIVMIGRATE_FUZZ_SEED", "1"))
MOST_CONNECTIONS = 8
WORKERS = 4
DEPTHS = (1, 10, 500, 511, 512, 600, 5000)
HEADERS = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc1",
    b"\xc9\xff\xff\xff\xff\x01", b"\xdd\x00\x10\x00\x00", b"\xd6\xff\x00\x00\x00\x00",
    b"\xc7\x00\x05", b"\xca\x7f\xc0\x00\x00", b"\xa4\xed\xa0\x80x", b"\xa2\xc3(",
    b"\x82\x01\x01\x01\x02", b"\x81\x90\x01", b"\x81\x80\x01",
)  # fmt: skip
ATOMS: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), 1.5, float("nan"), float("-inf"),
    "", "a", "a\0b", "x" * 5000, b"", b"\xff" * 100, [], {}, [[]], {"a": {}}, {1: 2}, {None: 1},
    msgpack.ExtType(5, b"x"), msgpack.Timestamp(1), CALL, RESULT, PARTS, (), ("/etc/passwd",),
)  # fmt: skip


class Fuzz:
    """A hostile client of one daemon after the other."""

    def __init__(self, seed: int, mark: Path) -> None:
        self.random = random.Random(seed)
        self.mark = mark
        self.names = (
            *(f"{PREFIX}.calls:{name}" for name in ("getpid", "echo", "fail", "keywords", "log")),
            *(f"{PREFIX}.commands:cat", f"{PREFIX}.by_natives:chmod", "os:system", "builtins:exec"),
            *(f"{PREFIX}.calls:os.system", f"{PREFIX}.calls:subprocess.run", "", ":", "a" * 300),
        )

    def value(self, depth: int = 0) -> object:
        choose = self.random.random()
        if depth > 3 or choose < 0.6:
            return self.random.choice(ATOMS)
        made = [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        if choose < 0.8:
            return made
        return {str(number): each for number, each in enumerate(made)}

    def call(self) -> bytes:
        """A CALL of some function, whose arguments touch a file where it is a shell's."""
        name = self.random.choice(self.names)
        args = (f"touch {self.mark}",) if "system" in name or "run" in name else self.value()
        kwargs = {} if self.random.random() < 0.8 else self.value()
        return packed((CALL, self.random.randrange(300), name, args, kwargs))

    def message(self) -> bytes:
        """A message that is right, wrong in a field, cut, changed, or no message at all."""
        match self.random.randrange(8):
            case 0 | 1:
                return self.call()
            case 2:
                kind = self.random.choice([*FIELDS, 0, 99, None, [], "x"])
                return packed([kind, *(self.value() for _ in range(self.random.randrange(7)))])
            case 3:
                depth = self.random.choice(DEPTHS)
                return bytes([0x96, CALL, 1, 0xA1, 0x61]) + b"\x91" * depth + b"\xc0\x80"
            case 4:
                whole = self.call()
                return whole[: self.random.randrange(len(whole) + 1)]
            case 5:
                changed = bytearray(self.call())
                for _ in range(self.random.randrange(1, 5)):
                    changed[self.random.randrange(len(changed))] = self.random.randrange(256)
                return bytes(changed)
            case 6:
                head = bytes([0x95, CALL, 1, 0xA1, 0x61])
                return head + self.random.choice(HEADERS) + b"\x80"
            case _:
                return self.random.randbytes(self.random.choice((0, 1, 10, 1000, DATAGRAM + 1)))

    def parts(self) -> list[bytes]:
        """A message in PARTS, more or less."""
        whole = self.message()
        pieces = [whole, *(self.random.randbytes(10) for _ in range(self.random.randrange(3)))]
        lengths = [len(piece) + self.random.choice((0, 0, 0, 1, -1)) for piece in pieces]
        return [packed((PARTS, [max(each, 0) for each in lengths])), *pieces]

    def attack(self, sock: socket.socket) -> None:
        """Do something on a connection that serves."""
        match self.random.randrange(12):
            case 0:
                for piece in self.parts():
                    sock.send(piece)
                # one that stopped in the middle would hold a worker for as long as it may
                sock.shutdown(socket.SHUT_WR)
            case 1:
                fds = [os.open(os.devnull, os.O_RDWR) for _ in range(self.random.randrange(1, 20))]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                try:
                    sock.sendmsg([self.message()], rights)
                finally:
                    for fd in fds:
                        os.close(fd)
            case 2:
                who = struct.pack("3i", os.getpid(), os.getuid(), os.getgid())
                sock.sendmsg([self.message()], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, who)])
            case 3:
                sock.shutdown(self.random.choice((socket.SHUT_RD, socket.SHUT_WR)))
            case 4:
                for _ in range(self.random.randrange(50)):
                    sock.send(packed(GETPID))
            case _:
                sock.send(self.message())

    def one_daemon(self, until: float) -> None:
        raw = Raw()
        try:
            assert raw.greet()[0] == WELCOME
            assert raw.still_serves()
            before = Seen(raw.pid)
            open_: list[socket.socket] = []
            for _ in range(400):
                if time.monotonic() > until:
                    break
                if len(open_) < MOST_CONNECTIONS:
                    made = raw.attach(shared=self.random.random() < 0.5)
                    made.setblocking(False)
                    open_.append(made)
                sock = self.random.choice(open_)
                with suppress(OSError):
                    self.attack(sock)
                if self.random.random() < 0.1:
                    raw.control.send(packed((CANCEL, 1, self.random.randrange(300))))
                with suppress(OSError):
                    while sock.recv(DATAGRAM):
                        pass
                if self.random.random() < 0.2:
                    open_.remove(sock)
                    sock.close()
                if self.random.random() < 0.1:
                    assert raw.still_serves()
            assert raw.still_serves()
            for sock in open_:
                sock.close()
            before.is_as_now(raw.pid)
            self.end(raw)
        finally:
            raw.close()

    def end(self, raw: Raw) -> None:
        """Something on the control connection; where that ends the daemon, it ends for good."""
        with suppress(OSError):
            raw.control.send(self.message())
            raw.send_with_fds((ATTACH, self.value(), self.value()), *[raw.control.fileno()] * 3)
        wait_until(raw.has_ended)


class Seen:
    """What a daemon uses."""

    def __init__(self, pid: int) -> None:
        self.fds, self.threads, self.memory = self.count(pid)

    @staticmethod
    def count(pid: int) -> tuple[int, int, int]:
        fds = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return fds, len(list(Path(f"/proc/{pid}/task").iterdir())), resident(pid)

    def is_as_now(self, pid: int) -> None:
        """Within what a few more workers take, each of which has a thread and a descriptor."""
        wait_until(lambda: self.count(pid)[0] <= self.fds + WORKERS)
        _, threads, memory = self.count(pid)
        assert threads <= self.threads + WORKERS
        assert memory <= self.memory + 60_000


@pytest.mark.timeout(SECONDS + 120)
def test_nothing_that_a_client_sends_disturbs_another_or_runs_what_is_not_registered(
    tmp_path: Path,
) -> None:
    fuzz = Fuzz(SEED, tmp_path / "mark")
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        fuzz.one_daemon(until)
        assert not fuzz.mark.exists()
