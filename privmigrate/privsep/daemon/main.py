"""privmigrate-helper: find the context, connect, give privilege up, serve.

Order matters. What the caller of sudo chose (the context's name, the socket, configuration files)
is used before the drop only to find out what may be kept; nothing is received from the client
until the drop is proved.
"""

import gc
import grp
import logging
import os
import pwd
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Final, NamedTuple, NoReturn, cast

from privmigrate.errors import PrivmigrateError
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.paths import trusted
from privmigrate.privsep import settings
from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.daemon import logs
from privmigrate.privsep.daemon.answer_call import describe_error
from privmigrate.privsep.daemon.drop import drop
from privmigrate.privsep.daemon.load import Context, Entrypoints, find_object
from privmigrate.privsep.daemon.profile import Profile
from privmigrate.privsep.daemon.serve import Server
from privmigrate.privsep.messages import DATAGRAM, Encoder
from privmigrate.privsep.running import UMASK
from privmigrate.privsep.settings import Settings
from privmigrate.privsep.wire import above_standard

_LOG: Final = logging.getLogger("privmigrate.privsep.daemon")

USAGE: Final = """\
usage: privmigrate-helper --privsep_context NAME --privsep_sock_path PATH
                          [--config-file FILE]... [--config-dir FOLDER]...

Become the privileged daemon of a context. Services start it themselves, through sudo.

  --privsep_context NAME     dotted name of the context, such as os_brick.privileged.default
  --privsep_sock_path PATH   socket on which the service waits
  --config-file FILE         configuration that says which user, group and capabilities to keep;
  --config-dir FOLDER        only root may be able to change it
  --debug                    log everything until the service has said what it wants to know

example: sudo privmigrate-helper --privsep_context os_brick.privileged.default \\
             --privsep_sock_path /tmp/x/privsep.sock
"""

EXIT_USAGE: Final = 2
_FIRST_FD: Final = 3
_REFUSAL_SECONDS: Final = 10.0


class Arguments(NamedTuple):
    """What the helper was asked to do."""

    context: str
    sock_path: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    debug: bool


class CannotStartError(PrivmigrateError):
    """The helper was asked for something that it cannot or will not do."""


class _Ended(BaseException):
    """SIGTERM or SIGINT arrived in the main thread."""


def main(argv: list[str] | None = None) -> int:  # noqa: RET503 - `_serve` does not return
    """Be the helper; the process that serves is a child, and the caller's process ends."""
    words = sys.argv[1:] if argv is None else argv
    if {"-h", "--help"} & set(words):
        sys.stdout.write(USAGE)
        return 0
    try:
        arguments = parse_arguments(words)
    except CannotStartError as error:
        sys.stderr.write(f"privmigrate-helper: {error}\n{USAGE}")
        return EXIT_USAGE
    try:
        context, own = _prepare(arguments)
        sock = _connect(arguments.sock_path)
    except CannotStartError as error:
        sys.stderr.write(f"privmigrate-helper: {error}\n")
        return 1
    if os.fork():
        os._exit(0)  # at once: whoever waits for the helper waits for this
    _close_others(sock.fileno())
    _be_at_home(own)
    logging.getLogger().setLevel(logging.DEBUG if arguments.debug else logging.INFO)
    _serve(sock, context, own, follows_level=not arguments.debug)


def parse_arguments(words: list[str]) -> Arguments:
    """Read the command line; raise CannotStartError for anything unknown, missing or twice."""
    found: dict[str, list[str]] = {
        "privsep_context": [],
        "privsep_sock_path": [],
        "config-file": [],
        "config-dir": [],
    }
    debug = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in {"--debug", "-d"}:
            debug = True
            continue
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in found:
            raise CannotStartError(f"{word!r} is no option")
        if not equals:
            if not rest:
                raise CannotStartError(f"--{name} needs a value")
            value = rest.pop(0)
        found[name].append(value)
    for name in ("privsep_context", "privsep_sock_path"):
        if len(found[name]) != 1:
            raise CannotStartError(f"--{name} must be given once")
    return Arguments(
        context=found["privsep_context"][0],
        sock_path=found["privsep_sock_path"][0],
        files=tuple(found["config-file"]),
        folders=tuple(found["config-dir"]),
        debug=debug,
    )


def _prepare(arguments: Arguments) -> tuple[Context, Settings]:
    # what is judged is what is opened: to oslo.config a ~ in front is somebody's home
    files, folders = (
        tuple(map(os.path.abspath, given)) for given in (arguments.files, arguments.folders)
    )
    paths = (*files, *folders)
    if os.geteuid() == 0:
        _judge(paths)
        _judge(_inside(folders))
    if paths:
        from privmigrate.privsep import options

        try:
            options.load(files, folders)
        except Exception as error:
            raise CannotStartError(f"the configuration cannot be read: {error}") from error
    try:
        found = find_object(arguments.context)
    except (ImportError, AttributeError, ValueError) as error:
        why = f"there is no context {arguments.context}: {error}"
        if isinstance(error, ModuleNotFoundError):
            why += f" (it has to be installed for {sys.executable}, which executes this)"
        raise CannotStartError(why) from error
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error} ({_place(error)})"
        raise CannotStartError(f"{arguments.context} cannot be imported: {why}") from error
    try:
        if isinstance(found, PrivContext):
            read = settings.read if paths else settings.read_arguments
            return found, read(found)
        if hasattr(found, "is_entrypoint") and hasattr(found, "conf"):
            return cast("Context", found), settings.read_section(found.conf)
    except ValueError as error:  # as all of oslo.config's about a value are
        raise CannotStartError(f"the configuration cannot be used: {error}") from error
    raise CannotStartError(f"{arguments.context} is no PrivContext but a {type(found).__name__}")


def _judge(paths: Iterable[str]) -> None:
    for path in paths:
        if (why := trusted(path)) is not None:
            raise CannotStartError(
                f"this configuration could be changed by others than root: {why}"
            )


def _inside(folders: Iterable[str]) -> Iterator[str]:
    """The files that oslo.config reads in these."""
    for folder in folders:
        try:
            names = os.listdir(folder)  # noqa: PTH208 - pathlib costs 5 ms
        except OSError as error:
            raise CannotStartError(f"{folder}: {error.strerror}") from None
        yield from (f"{folder}/{name}" for name in names if name.endswith(".conf"))


def _place(error: BaseException) -> str:
    """Where an import failed; not the whole way there."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _connect(path: str) -> socket.socket:
    """Connect to whoever waits: our client offers messages, oslo.privsep's a stream."""
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        sock = socket.socket(socket.AF_UNIX, kind)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            reason = error.strerror
        else:
            return above_standard(sock)
    raise CannotStartError(f"nobody waits at {path}: {reason}")


def _close_others(kept: int) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib costs 5 ms
        if int(name) >= _FIRST_FD and int(name) != kept:
            with suppress(OSError):
                os.close(int(name))


def _be_at_home(own: Settings) -> None:
    """Have commands look in the home of who executes them, whatever sudo keeps of its caller's.

    Python among them executes what it finds there.
    """
    try:
        uid, _ = _user(own.user)
        found = pwd.getpwuid(os.geteuid() if uid is None else uid)
    except (CannotStartError, KeyError):
        home, name = "/", str(os.geteuid())
    else:
        home, name = found.pw_dir, found.pw_name
    os.environ.update(HOME=home, USER=name, LOGNAME=name, SHELL="/bin/sh")


def serve_forked(sock: socket.socket, context: PrivContext, own: Settings) -> NoReturn:
    """Be the daemon in a forked child of the client; never returns, and unwinds nothing.

    Descriptors of the client are replaced by /dev/null rather than closed: its Python objects are
    still here, and one that closes its descriptor later must not hit one of ours.
    """
    try:
        gc.freeze()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
            if int(name) >= _FIRST_FD and int(name) not in {null, sock.fileno()}:
                with suppress(OSError):
                    os.dup2(null, int(name), inheritable=False)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        _serve(sock, context, own, follows_level=False)
    finally:
        os._exit(1)


def _serve(
    sock: socket.socket, context: Context, own: Settings, *, follows_level: bool
) -> NoReturn:
    """Drop, serve, end: the one way of a daemon, whoever started it."""
    code = 1
    try:
        code = _run(sock, context, own, follows_level=follows_level)
    except BaseException:  # noqa: BLE001 - nobody is above us
        _LOG.exception("the privsep daemon failed")
    finally:
        os._exit(code)


def _run(sock: socket.socket, context: Context, own: Settings, *, follows_level: bool) -> int:
    os.setsid()
    os.chdir("/")
    os.umask(UMASK)
    # sudo passes on what its caller ignores and blocks. With SIGCHLD ignored the kernel gives the
    # pid of a command away before we have reaped it; with SIGTERM blocked nobody could end us
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    handler = logs.ChannelHandler(str(context))
    logs.install(handler)
    try:
        dropped = drop(_profile(own, str(context)))
    except PrivmigrateError as error:
        _refuse(sock, str(error))
        return getattr(error, "exit_code", 1)
    for remark in (*dropped.remarks, *_left_out(context, own)):
        _LOG.warning("%s", remark)
    _LOG.info(
        "privsep daemon running as pid %s, uid %s, gid %s, with %s",
        os.getpid(),
        os.getuid(),
        os.getgid(),
        dropped.credentials.permitted,
    )
    _close_standard_streams()
    context.set_client_mode(False)
    entrypoints = Entrypoints(context)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        if sock.type == socket.SOCK_STREAM:
            from privmigrate.privsep.daemon.stream import StreamServer

            StreamServer(sock, entrypoints, handler, size=own.thread_pool_size).run()
        else:
            Server(
                sock,
                entrypoints,
                handler,
                name=str(context),
                size=own.thread_pool_size,
                follows_level=follows_level,
            ).run()
    except _Ended:
        pass
    return 0


def _left_out(context: Context, own: Settings) -> Iterator[str]:
    """What the source asks for and the configuration does not give: calls fail for want of it."""
    if isinstance(context, PrivContext):
        asked = CapabilitySet.from_numbers(context.capabilities)
        if missing := asked - CapabilitySet.from_numbers(own.capabilities):
            yield f"{context}: the configuration leaves out {' '.join(missing.names)}"


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # once is enough: what follows is the way out
    raise _Ended


def _close_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1):
        os.dup2(null, fd)
    try:
        os.fstat(2)
    except OSError:  # closed: or the next descriptor would be where errors are printed
        os.dup2(null, 2)
    if null >= _FIRST_FD:
        os.close(null)


def _refuse(sock: socket.socket, why: str) -> None:
    """Say why we do not serve: the client waits for our first message."""
    if sock.type == socket.SOCK_SEQPACKET:
        error = describe_error(FailedToDropPrivileges(why), 0, tracebacks=False)
        with suppress(OSError):
            # its HELLO must be read: an end with unread data loses what we say (ECONNRESET)
            sock.settimeout(_REFUSAL_SECONDS)
            sock.recv(DATAGRAM)
            sock.send(Encoder().encode(error))
    else:
        sys.stderr.write(f"privmigrate-helper: {why}\n")


def _profile(own: Settings, name: str) -> Profile:
    uid, group = _user(own.user)
    return Profile(
        capabilities=CapabilitySet.from_numbers(own.capabilities),
        uid=uid,
        gid=group if own.group is None else _group(own.group),
        allow_setuid_binaries=own.allow_setuid_binaries,
        leak=own.unrestricted_commands,
        name=name,
    )


def _user(name: str | None) -> tuple[int | None, int | None]:
    """The uid, and the gid that goes with it unless another is configured."""
    if name is None:
        return None, None
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            return int(name), None
        raise CannotStartError(f"there is no user {name}") from None
    return found.pw_uid, found.pw_gid


def _group(name: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise CannotStartError(f"there is no group {name}") from None


if __name__ == "__main__":
    # started as a file or with -m: neither its folder nor the caller's is a place for modules
    del sys.path[0]
    sys.exit(main())
