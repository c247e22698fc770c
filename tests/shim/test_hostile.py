"""What oslo.rootwrap's client can send and no program can get: answered as by its own daemon.

A connection that is dropped instead would have the client start a new daemon, and send it again.
"""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from privmigrate.shim import manager
from privmigrate.shim.client_api import Client
from tests.shim.conftest import WriteConfig

PROJECT = Path(__file__).resolve().parent.parent.parent
# without a handler oslo.rootwrap's denials fail, too: it logs them to the stream that it closed
OSLO = "import logging, sys; logging.getLogger().addHandler(logging.NullHandler()); sys.argv[0] = 'x-rootwrap-daemon'; from oslo_rootwrap.cmd import daemon; daemon()"  # fmt: skip # noqa: E501
OURS = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())"  # fmt: skip # noqa: E501
FILTERS = """
echo: CommandFilter, echo, root
cat: CommandFilter, cat, root
sh: CommandFilter, sh, root
ghost: CommandFilter, true, no-such-user
"""
CALLS: dict[str, list[object]] = {
    "NUL": [["echo", "a\0b"]],
    "NUL in the command": [["ec\0ho"]],
    "NUL in a denied command": [["nothing", "a\0b"]],
    "half a surrogate pair": [["echo", "\ud800"]],
    "half a pair as the command": [["\ud800"]],
    "an undecodable byte": [["echo", "\udcff"]],
    "no words": [[]],
    "an empty word": [[""]],
    "a number": [["echo", 1]],
    "nothing": [[None]],
    "words in a word": [[["echo"]]],
    "bytes": [["echo", b"a"]],
    "an object": [{"echo": 1}],
    "no command": [],
    "a long word": [["echo", "x" * 200_000]],
    "many words": [["echo", *["x" * 1000] * 4000]],
    "input that is a number": [["cat"], 5],
    "input that is a list": [["cat"], ["a"]],
    "input that is false": [["cat"], False],
    "input that is half a pair": [["cat"], "\ud800"],
    "input with NUL": [["cat"], "a\0b"],
    "input of bytes": [["cat"], b"\xff"],
    "no input": [["cat"], None],
}


@contextmanager
def daemon(
    program: str, config: Path, before: Callable[[], object] | None = None
) -> Iterator[tuple[str, bytes]]:
    words = [sys.executable, "-c", program, str(config)]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        preexec_fn=before,  # noqa: PLW1509 - no threads here
    ) as process:
        assert process.stdout
        path = process.stdout.readline()[:-1].decode()
        yield path, process.stdout.read(32)
        process.terminate()
        assert process.wait(20) == 0


def test_who_has_no_key_is_not_waited_for_without_end(write_config: WriteConfig) -> None:
    short = OURS.replace("import main", "import main; from privmigrate.shim import"
                         " rootwrap_daemon_main as m; m.STRANGER_SECONDS = 0.2")  # fmt: skip
    with daemon(short, write_config(FILTERS)) as (path, key):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(path)
            stranger.settimeout(20)
            while stranger.recv(1000):
                pass  # the challenge, and then the end
        with connect(path, key) as sock:
            assert call(sock, None, "get_methods", [], {})[0] == manager.RETURN


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def test_signals_that_its_starter_blocks_end_the_daemon(write_config: WriteConfig) -> None:
    with daemon(OURS, write_config(FILTERS), _block) as (path, key), connect(path, key) as sock:
        assert call(sock, None, "get_methods", [], {})[0] == manager.RETURN


def connect(path: str, key: bytes) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    manager.answer_challenge(sock, key)
    manager.challenge(sock, key)
    return sock


def call(sock: socket.socket, *request: object) -> tuple[object, object]:
    manager.send(sock, list(request))
    answer = manager.receive(sock)
    assert isinstance(answer, list)
    return answer[0], answer[1]


def answers(program: str, config: Path) -> dict[str, tuple[object, object]]:
    """Every call's answer, over one connection; of errors the kind alone."""
    found: dict[str, tuple[object, object]] = {}
    with daemon(program, config) as (path, key):
        with connect(path, key) as sock:
            kind, made = call(sock, None, "create", ["rootwrap"], {})
            assert kind == manager.RETURN
            ident = made[0] if isinstance(made, list) else ""
        with connect(path, key) as sock:
            assert call(sock, None, "accept_connection", ["me"], {}) == (manager.RETURN, None)
            for name, values in CALLS.items():
                kind, value = call(sock, ident, "run_one_command", values, {})
                found[name] = (kind, value if kind == manager.RETURN else "")
    return found


def test_each_is_answered_as_by_oslo_rootwraps_daemon(write_config: WriteConfig) -> None:
    config = write_config(FILTERS)
    ours = answers(OURS, config)
    assert ours == answers(OSLO, config)
    assert ours["NUL"] == (manager.UNSERIALIZABLE, "")
    assert ours["input of bytes"] == (manager.RETURN, [0, "\udcff", ""])


@pytest.mark.parametrize("junk", [b"[", b"\xff", b"[" * 100_000, b'{"__bytes__": "e"}'], ids=len)
def test_what_is_no_message_is_answered_and_the_next_one_counts(
    write_config: WriteConfig, junk: bytes
) -> None:
    with daemon(OURS, write_config(FILTERS)) as (path, key), connect(path, key) as sock:
        call(sock, None, "accept_connection", ["me"], {})
        manager.send_bytes(sock, junk)
        answer = manager.receive(sock)
        assert isinstance(answer, list)
        assert answer[0] == manager.TRACEBACK
        found = call(sock, "", "run_one_command", [["echo", "a"]], {})
        assert found == (manager.RETURN, [0, "a\n", ""])


def test_a_message_that_is_too_large_is_answered(write_config: WriteConfig) -> None:
    with daemon(OURS, write_config(FILTERS)) as (path, key), connect(path, key) as sock:
        call(sock, None, "accept_connection", ["me"], {})
        data = "x" * manager.MAX_MESSAGE
        kind, why = call(sock, "", "run_one_command", [["cat"], data], {})
        assert (kind, str(why).startswith("a message of ")) == (manager.TRACEBACK, True)
        assert call(sock, "", "run_one_command", [["echo"]], {})[0] == manager.RETURN


@pytest.mark.root
def test_a_user_that_does_not_exist_is_said_before_anything_is_promised(
    write_config: WriteConfig,
) -> None:
    config = write_config(FILTERS)
    client = Client([sys.executable, "-c", OURS, str(config)])
    assert client.execute(["true"]) == (1, "", "there is no user 'no-such-user'")
    pid = client.execute(["sh", "-c", "echo $PPID"])[1]
    assert client.execute(["echo", "x" * 200_000])[0] == 1  # the kernel takes no such word
    assert client.execute(["sh", "-c", "echo $PPID"])[1] == pid
    client.close()
    with daemon(OURS, config) as (path, key), connect(path, key) as sock:
        call(sock, None, "accept_connection", ["me"], {})
        kind, why = call(sock, "", "run_one_command", [["true"]], {})
        assert (kind, why) == (manager.UNSERIALIZABLE, "there is no user 'no-such-user'")


def test_few_descriptors_and_many_callers(write_config: WriteConfig) -> None:
    """Each command ran once and its caller knows, or not at all and the caller knows that."""
    config = write_config(FILTERS, "rlimit_nofile=64")
    marks = config.parent / "marks"
    results: dict[int, object] = {}

    def work(path: str, key: bytes, number: int) -> None:
        script = f"echo {number} >> {marks}; sleep 0.1"
        with connect(path, key) as sock:
            call(sock, None, "accept_connection", ["me"], {})
            results[number] = call(sock, "", "run_one_command", [["sh", "-c", script]], {})

    with daemon(OURS, config) as (path, key):
        threads = [threading.Thread(target=work, args=(path, key, n)) for n in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with connect(path, key) as sock:
            call(sock, None, "accept_connection", ["me"], {})
            script = "grep -l '^State:.Z' /proc/[0-9]*/status | xargs -r grep -l ^PPid:.$PPID$"
            _, value = call(sock, "", "run_one_command", [["sh", "-c", script]], {})
            assert value in ([0, "", ""], [123, "", ""]), value
    ran = sorted(int(number) for number in marks.read_text().split())
    said = sorted(n for n, value in results.items() if value == (manager.RETURN, [0, "", ""]))
    assert ran == said
    failed = [value for value in results.values() if value != (manager.RETURN, [0, "", ""])]
    assert failed
    assert all("Too many open files" in str(value) for value in failed)


def test_a_daemon_whose_starter_ignored_its_children(write_config: WriteConfig) -> None:
    program = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); " + OURS
    with daemon(program, write_config(FILTERS)) as (path, key), connect(path, key) as sock:
        call(sock, None, "accept_connection", ["me"], {})
        found = call(sock, "", "run_one_command", [["sh", "-c", "exit 3"]], {})
        assert found == (manager.RETURN, [3, "", ""])
