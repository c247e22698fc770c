"""`privmigrate-rootwrap-daemon rootwrap.conf`: oslo-rootwrap-daemon's place for its own clients.

Says on standard output where its socket is and what the key is, closes the three standard
descriptors, and serves whoever has the key until it was idle for `daemon_timeout` seconds, or is
told to end by SIGTERM, SIGINT or a client; what was begun is finished before.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from privmigrate.errors import (
    EXIT_BAD_CONFIG,
    EXIT_NO_COMMAND,
    InputError,
    Refused,
)
from privmigrate.privsep.daemon.profile import CannotDropError
from privmigrate.shim import client, manager
from privmigrate.shim.connections import Server
from privmigrate.shim.daemon import Executor, Outgrown, Streams, told
from privmigrate.shim.direct import serve_direct
from privmigrate.shim.index import Source
from privmigrate.shim.pipes import communicate
from privmigrate.shim.rootwrap_main import Call, explain, parse, take_name

_IDENT: Final = "privmigrate"
_EXPOSED: Final = (
    "cancel_timer",
    "handle_timeout",
    "prepare_timer",
    "reset_timer",
    "run_one_command",
    "shutdown",
)
_BACKLOG: Final = 128
STRANGER_SECONDS: Final = 10
"""How long a client may take to show that it has the key."""


class ManagerServer(Server):
    """A server for whoever has the key."""

    def __init__(self, executor: Executor, key: bytes, listener: socket.socket) -> None:
        super().__init__(executor, listener)
        self._key: Final = key

    def answer(self, sock: socket.socket) -> None:
        """Speak the manager protocol, or our own with our own client."""
        # everybody on the machine can connect, and would hold a thread and a descriptor
        sock.settimeout(STRANGER_SECONDS)
        manager.challenge(sock, self._key)
        manager.answer_challenge(sock, self._key)
        sock.settimeout(None)
        match self._receive(sock):
            case [_, "accept_connection", _, _]:
                manager.send(sock, [manager.RETURN, None])
                self._serve_proxy(sock)
            case [_, "create", ["rootwrap", *_], _]:
                manager.send(sock, [manager.RETURN, [_IDENT, _EXPOSED]])
            case [_, "get_methods", _, _]:
                manager.send(sock, [manager.RETURN, _EXPOSED])
            case [_, "dummy" | "incref" | "decref", _, _]:
                manager.send(sock, [manager.RETURN, None])
            case [_, "privmigrate", _, _]:
                manager.send(sock, [manager.RETURN, None])
                serve_direct(sock, self)
            case request:
                self._refuse(sock, request)

    def _serve_proxy(self, sock: socket.socket) -> None:
        while not self.is_stopping():
            match self._receive(sock):
                case [_, "run_one_command", list() as values, _]:
                    with self.using():
                        self._run(sock, values)
                case [_, "shutdown", _, _]:
                    manager.send(sock, [manager.RETURN, None])
                    self.stop()
                case [_, str() as method, *_] if method in _EXPOSED and method != "run_one_command":
                    manager.send(sock, [manager.RETURN, None])
                case request:
                    self._refuse(sock, request)

    def _receive(self, sock: socket.socket) -> object:
        """Receive a request, or why there is none, which `_refuse` answers."""
        try:
            return manager.receive(sock)
        except Refused as refused:
            return refused

    def _refuse(self, sock: socket.socket, request: object) -> None:
        why = str(request) if isinstance(request, Refused) else "unrecognized request"
        self.refuse(why)
        manager.send(sock, [manager.TRACEBACK, why])

    def _run(self, sock: socket.socket, values: list[object]) -> None:
        with ExitStack() as at_end:

            def start(*ends: int) -> Callable[[], int]:
                return at_end.enter_context(self.start(ready, Streams(*ends))).wait

            try:
                argv, data = _parse(values)
                with self.place():  # not while a caller takes its time to read the answer
                    ready = self.prepare(argv)
                    status, out, err = communicate(start, data)
            except client.Quit as quit_:
                answer: list[object] = [manager.RETURN, [quit_.status, "", told(quit_)]]
                if quit_.status == client.EXIT_FAILED:
                    answer = [manager.UNSERIALIZABLE, quit_.message]
            except Refused as refused:
                self.refuse(str(refused))
                answer = [manager.UNSERIALIZABLE, str(refused)]
            except Outgrown:
                raise
            except Exception as error:  # noqa: BLE001 - if nobody answers, the client sends it again
                answer = [manager.UNSERIALIZABLE, f"{type(error).__name__}: {error}"]
            else:
                answer = [manager.RETURN, [status, os.fsdecode(out), os.fsdecode(err)]]
            manager.send(sock, answer)


def _parse(values: list[object]) -> tuple[list[str], bytes]:
    """Read a command's words and its input; raise Refused where they are no texts."""
    found = values[0] if values and isinstance(values[0], list) else []
    words = [os.fsdecode(word) for word in found if isinstance(word, str | bytes)]
    if not values or found is not values[0] or len(words) != len(found):
        raise Refused("a command is no list of words")
    stdin = values[1] if len(values) > 1 else None
    if stdin is None:
        return words, b""
    if not isinstance(stdin, str | bytes):
        raise Refused("a command's input is no text")
    try:
        return words, os.fsencode(stdin)
    except UnicodeEncodeError as error:
        raise Refused(f"a command's input cannot be encoded: {error.reason}") from None


def command() -> int:
    """Be `privmigrate-rootwrap-daemon`, of whose words none is an option of ours."""
    return _answer(Call(sys.argv[0], tuple(sys.argv[1:]), ()))


def main() -> int:
    """Serve; the exit statuses are rootwrap's."""
    return _answer(parse(sys.argv))


def _answer(call: Call) -> int:
    take_name(call.name)
    if len(call.words) != 1:
        quit_ = client.Quit(EXIT_NO_COMMAND, "Extra arguments to daemon")
        return client.give_up(call.name, quit_)
    (config,) = call.words
    try:
        executor = Executor(call.name, Source(config, dict(os.environ), call.accepted))
        remarks = executor.give_up_the_rest()
    except InputError as error:
        why = explain(config) or str(error)
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except Refused as error:
        why = f"{config} will not be used: {error}"
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except CannotDropError as error:
        return client.give_up(call.name, client.Quit(error.exit_code, str(error)))
    client.limit_descriptors(executor.built.config.rlimit_nofile)
    for remark in remarks:
        executor.log.to_syslog_only(client.WARNING, remark)
    return _serve(executor)


def _serve(executor: Executor) -> int:
    folder = tempfile.mkdtemp(prefix="rootwrap-")
    try:
        # the key is the gate: whoever starts the daemon reads it, and connects as another user
        os.chmod(folder, 0o755)  # noqa: PTH101, S103
        path = f"{folder}/rootwrap.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o666)  # noqa: PTH101, S103
            listener.listen(_BACKLOG)
            key = os.urandom(manager.KEY_SIZE)
            os.write(1, os.fsencode(path) + b"\n" + key)
            null = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(null, standard)
            ManagerServer(executor, key, listener).serve()
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
