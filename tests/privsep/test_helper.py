"""The helper's command line, what it refuses, what it loads, and whom it serves."""

import importlib.util
import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

import pytest

from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.daemon.main import CannotStartError, parse_arguments
from privmigrate.privsep.priv_context import PrivContext
from tests.privsep import service
from tests.privsep.conftest import is_running, wait_until
from tests.privsep.service import calls, commands

PROJECT: Final = Path(__file__).parents[2]
HELPER: Final = (sys.executable, "-m", "privmigrate.privsep.daemon.main")
NAMED: Final = ("--privsep_context", "tests.privsep.service.context", "--privsep_sock_path")


def helper(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HELPER, *words],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def by_helper() -> Generator[PrivContext]:
    """The service's context, started by the helper's command without sudo."""
    with started_with() as context:
        yield context


@contextmanager
def started_with(**variables: str) -> Generator[PrivContext]:
    """The same, with variables in the helper's environment."""
    from oslo_config import cfg

    section = service.context.cfg_section
    _ = service.context.conf
    given = " ".join(f"{name}={value}" for name, value in variables.items())
    command = f"env PYTHONPATH={PROJECT} {given} {' '.join(HELPER)}"
    cfg.CONF.set_override("helper_command", command, group=section)
    service.context.start()
    yield service.context
    service.context.stop()
    cfg.CONF.clear_override("helper_command", group=section)


def test_a_commands_home_is_that_of_who_executes_it() -> None:
    """sudo may be told to keep its caller's, below which Python and others look for code."""
    theirs = {"HOME": "/evil", "USER": "evil", "LOGNAME": "evil", "SHELL": "/evil/sh"}
    with started_with(**theirs):
        text = commands.cat("/proc/self/environ").stdout
    found = dict(entry.split("=", 1) for entry in text.split("\0") if entry)
    own = pwd.getpwuid(os.geteuid())
    assert found["HOME"] == own.pw_dir
    assert found["USER"] == found["LOGNAME"] == own.pw_name
    assert found["SHELL"] == "/bin/sh"


def test_help_has_an_example() -> None:
    done = helper("--help")
    assert done.returncode == 0
    assert "example: sudo privmigrate-helper --privsep_context" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "--privsep_context must be given once"),
        (("--privsep_context", "a.b"), "--privsep_sock_path must be given once"),
        (("--privsep_context",), "--privsep_context needs a value"),
        (("--what",), "'--what' is no option"),
        (("what",), "'what' is no option"),
        ((*NAMED, "/x", "--privsep_sock_path=/y"), "--privsep_sock_path must be given once"),
    ],
)
def test_wrong_words(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(CannotStartError, match=why):
        parse_arguments(list(words))


def test_the_words_of_oslo_privseps_helper() -> None:
    words = ["--config-file", "/a", "--config-file=/b", "--config-dir", "/c", *NAMED, "/s", "-d"]
    found = parse_arguments(words)
    assert (found.files, found.folders) == (("/a", "/b"), ("/c",))
    assert (found.context, found.sock_path, found.debug) == (NAMED[1], "/s", True)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--what",), 2, "'--what' is no option\nusage: "),
        ((*NAMED, "/nowhere/sock"), 1, "nobody waits at /nowhere/sock: No such file"),
        (("--privsep_context", "no.such", *NAMED[2:], "/x"), 1, "(it has to be installed for "),
        (("--privsep_context", "os.path", *NAMED[2:], "/x"), 1, "is no PrivContext but a module"),
        (("--privsep_context", "x", *NAMED[2:], "/x"), 1, "there is no context x"),
        (("--privsep_context", ".x.y", *NAMED[2:], "/x"), 1, ".x.y cannot be imported: TypeError"),
    ],
)
def test_what_cannot_start_says_why(words: tuple[str, ...], code: int, why: str) -> None:
    done = helper(*words)
    assert done.returncode == code
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("privmigrate-helper: ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1/0", "ZeroDivisionError: division by zero ({path}:1)"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("raise SystemExit(0)", "SystemExit: 0 ({path}:1)"),
    ],
)
def test_a_context_whose_module_fails_is_one_line(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "failing.py"
    path.write_text(f"{text}\n")
    words = ("--privsep_context", "failing.context", *NAMED[2:], "/x")
    done = helper(*words, PYTHONPATH=f"{PROJECT}:{tmp_path}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    beginning = "privmigrate-helper: failing.context cannot be imported: "
    assert done.stderr.startswith(beginning + why.format(path=path))


def test_the_callers_folder_is_no_place_for_modules(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("open('/dev/stderr', 'w').write('executed')\n")
    done = subprocess.run(
        [*HELPER, "--privsep_context", "evil.x", "--privsep_sock_path", "/x"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "executed" not in done.stderr
    assert "No module named 'evil'" in done.stderr


@pytest.mark.root
@pytest.mark.parametrize("option", ["--config-file", "--config-dir"])
def test_configuration_that_others_can_write_is_refused(tmp_path: Path, option: str) -> None:
    file = tmp_path / "service.conf"
    file.write_text("[privsep_service]\nuser = root\n")
    file.chmod(0o666)
    done = helper(option, str(file), *NAMED, "/x")
    assert done.returncode == 1
    assert "could be changed by others than root: " in done.stderr


@pytest.mark.root
def test_a_file_of_another_in_a_folder_of_roots_is_refused(root_folder: Path) -> None:
    file = root_folder / "service.conf"
    file.write_text("[privsep_service]\nuser = root\n")
    assert "nobody waits at /x" in helper("--config-dir", str(root_folder), *NAMED, "/x").stderr
    os.chown(file, 4321, 0)
    done = helper("--config-dir", str(root_folder), *NAMED, "/x")
    assert done.returncode == 1
    assert f"{file} belongs to uid 4321, not to root" in done.stderr


@pytest.mark.root
@pytest.mark.parametrize(("option", "path"), [("--config-file", "~/x.conf"), ("--config-dir", "~")])
def test_a_home_in_a_path_is_a_name_like_another(
    root_folder: Path, tmp_path: Path, option: str, path: str
) -> None:
    """What was judged would not be what is read: the caller's HOME says where that is."""
    (root_folder / "~").mkdir()
    (root_folder / "~" / "x.conf").write_text("[privsep_service]\n")
    (tmp_path / "x.conf").write_text("nonsense\n")
    with chdir(root_folder):
        done = helper(option, path, *NAMED, "/x", HOME=str(tmp_path))
    assert "nobody waits at /x" in done.stderr


@pytest.mark.root
@pytest.mark.parametrize("value", ["CAP_NONSENSE", "64"])
def test_a_value_that_is_none_is_one_line(root_folder: Path, value: str) -> None:
    file = root_folder / "service.conf"
    file.write_text(f"[privsep_service]\ncapabilities = {value}\n")
    done = helper("--config-file", str(file), *NAMED, "/x")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_environment_is_no_configuration(root_folder: Path) -> None:
    """oslo.config has it count for more than files; sudo may keep variables of this form."""
    file = root_folder / "service.conf"
    file.write_text("[privsep_service]\nthread_pool_size = 3\n")
    source = (
        "from privmigrate.privsep import options, settings; from tests.privsep import service;"
        f"options.load(({str(file)!r},), ()); found = settings.read(service.context);"
        "print(found.user, found.capabilities, found.thread_pool_size)"
    )
    environment = {
        "OS_PRIVSEP_SERVICE__USER": "nobody",
        "OS_PRIVSEP_SERVICE__CAPABILITIES": "CAP_SYS_ADMIN",
        "OS_PRIVSEP_SERVICE__THREAD_POOL_SIZE": "9",
    }
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None () 3\n"


@pytest.mark.root
def test_configuration_that_cannot_be_read_is_one_line(root_folder: Path) -> None:
    file = root_folder / "service.conf"
    file.write_text("nonsense\n")
    done = helper("--config-file", str(file), *NAMED, "/x")
    assert done.returncode == 1
    assert f"the configuration cannot be read: Failed to parse {file}: line 1, " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.root
@pytest.mark.parametrize(
    "text", ["secret\n", "secret:x:0\n", "[secret\n", "[a]\n secret\n", "[a]\nb=c\n[]secret\n"]
)
def test_nothing_of_a_file_that_is_no_configuration_is_shown(root_folder: Path, text: str) -> None:
    """Where sudoers leaves the file open, the caller could name any file of root's."""
    file = root_folder / "service.conf"
    file.write_text(text)
    done = helper("--config-file", str(file), "--debug", *NAMED, "/x")
    assert done.returncode == 1
    assert "Failed to parse" in done.stderr
    assert "secret" not in done.stdout + done.stderr


@pytest.fixture
def root_folder() -> Generator[Path]:
    """A folder below folders of root alone: /tmp is not."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/root"))
    yield folder
    shutil.rmtree(folder)


def test_the_helper_becomes_the_daemon(by_helper: PrivContext) -> None:
    pid = calls.getpid()
    assert pid != os.getpid()
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[4].decode() == NAMED[1]
    assert calls.echo("x") == "x"
    by_helper.stop()
    wait_until(lambda: not is_running(pid))


def test_a_daemon_that_died_is_started_by_the_helper_again(by_helper: PrivContext) -> None:
    pid = calls.getpid()
    os.kill(pid, 9)
    wait_until(lambda: not is_running(pid))
    other = calls.getpid()
    assert other not in {pid, os.getpid()}


def test_the_daemon_loads_neither_the_clients_half_nor_what_is_heavy(
    by_helper: PrivContext,
) -> None:
    modules = set(calls.facts()["modules"])  # type: ignore[call-overload]
    assert [name for name in modules if name.startswith("privmigrate.privsep.client")] == []
    heavy = {"oslo_config", "oslo_log", "oslo_utils", "asyncio", "importlib.metadata", "argparse",
             "multiprocessing", "concurrent.futures", "ssl", "email", "json"}  # fmt: skip
    assert modules & heavy == set()


def test_the_socket_is_gone_once_the_daemon_has_connected(by_helper: PrivContext) -> None:
    cmdline = Path(f"/proc/{calls.getpid()}/cmdline").read_bytes().decode().split("\0")
    path = Path(cmdline[cmdline.index("--privsep_sock_path") + 1])
    assert not path.exists()
    assert not path.parent.exists()


def start_with(command: str) -> None:
    from oslo_config import cfg

    section = service.context.cfg_section
    _ = service.context.conf
    cfg.CONF.set_override("helper_command", command, group=section)
    try:
        service.context.start()
    finally:
        cfg.CONF.clear_override("helper_command", group=section)
        service.context.stop()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("false", r"exited non-zero \(1\)"),
        ("true", "ended without connecting"),
        ("no-such-command", "no no-such-command in PATH"),
        ("sh -c 'echo why >&2; exit 5' x", r"exited non-zero \(5\): why \(it was: sh -c .* x --"),
    ],
)
def test_a_helper_that_fails_is_reported(command: str, why: str) -> None:
    with pytest.raises(FailedToDropPrivileges, match=why):
        start_with(command)


def test_a_daemon_that_ends_before_it_answers() -> None:
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        "s.connect(sys.argv[-1]); s.recv(100)"
    )
    with pytest.raises(FailedToDropPrivileges, match="it ended before it answered"):
        start_with(f'{sys.executable} -c "{code}"')


def test_a_folder_whose_name_is_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(FailedToDropPrivileges, match=r"cannot find us at .*AF_UNIX path too long"):
        start_with("true")


def test_what_a_failing_helper_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FailedToDropPrivileges):
        start_with("sh -c 'echo a password is required >&2; exit 1'")
    wait_until(lambda: "privsep log: a password is required" in caplog.text)


def test_an_answer_of_another_kind_is_no_daemon() -> None:
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        "s.connect(sys.argv[-1]); s.send(bytes(5)); s.recv(1)"
    )
    with pytest.raises(FailedToDropPrivileges, match="failed to start: what is no message"):
        start_with(f'{sys.executable} -c "{code}"')


OSLO_CLIENT: Final = """
import json, os, sys
sys.path[:0] = {path!r}
import oslo_service_for_tests.calls as calls
from oslo_config import cfg
cfg.CONF([])
cfg.CONF.set_override("helper_command", {command!r}, group="privsep")
found = dict(pid=calls.getpid(), echo=calls.echo("\\u4e09\\udc82", [1, (2, "x")], k=dict(a=1)))
found["mine"] = os.getpid()
found["large"] = len(calls.echo("x" * 3_000_000)[0])
for name in ("fail", "leave", "undecorated"):
    try:
        calls.context._wrap(getattr(calls, name + "_body"))
    except Exception as error:
        found[name] = type(error).__name__ + ": " + str(error)
import logging
logging.basicConfig(stream=sys.stdout, format="LOGGED %(name)s %(message)s")
calls.log()
found["children"] = calls.capabilities_of_a_child()
print(json.dumps(found))
"""
OSLO_SERVICE: Final = """
import logging, os, subprocess, sys
from oslo_privsep import priv_context
context = priv_context.PrivContext(
    "oslo_service_for_tests", pypath="oslo_service_for_tests.calls.context", capabilities=[])
@context.entrypoint
def echo(*args, **kwargs): return (*args, kwargs)
def fail(): raise ValueError("no", 1)
fail_body = fail
fail = context.entrypoint(fail)
def leave(): sys.exit(3)
leave_body = leave
leave = context.entrypoint(leave)
def undecorated(): pass
undecorated_body = undecorated
@context.entrypoint
def log(): logging.getLogger("far").warning("heard %s", "me")
@context.entrypoint
def capabilities_of_a_child():
    text = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    return [line.split()[1] for line in text.splitlines() if line.startswith("CapEff")]
def getpid(): return os.getpid()
getpid = context.entrypoint(getpid)
"""


@pytest.mark.skipif(importlib.util.find_spec("oslo_privsep") is None, reason="no oslo.privsep")
def test_an_unmodified_client_of_oslo_privsep_is_served(tmp_path: Path) -> None:
    """Its own context, its own channel; only `helper_command` names our helper."""
    package = tmp_path / "oslo_service_for_tests"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "calls.py").write_text(OSLO_SERVICE)
    path = [str(tmp_path), str(PROJECT)]
    command = f"env PYTHONPATH={':'.join(path)} {' '.join(HELPER)}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OSLO_CLIENT.format(path=path, command=command)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["pid"] != found["mine"]
    assert found["echo"] == ["\u4e09\udc82", [1, [2, "x"]], {"k": {"a": 1}}]
    assert found["large"] == 3_000_000
    assert found["fail"] == "ValueError: ('no', 1)"
    assert found["leave"].startswith("RuntimeError: SystemExit: 3")
    assert found["undecorated"].startswith("NameError: Invalid privsep function: ")
    assert "LOGGED far heard me" in done.stdout
    # with oslo.privsep's own daemon a command of root has all of them again
    assert found["children"] == ["0000000000000000"]
    wait_until(lambda: not is_running(found["pid"]))


def test_a_stream_that_is_no_msgpack_ends_the_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        words = [*HELPER, *NAMED, str(tmp_path / "s")]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        subprocess.run(words, env=environment, stderr=subprocess.DEVNULL, check=True)
        stream, _ = listener.accept()
        with stream:
            stream.sendall(b"\xc1\xc1")
            stream.settimeout(20)
            while stream.recv(65536):
                pass
