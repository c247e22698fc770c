"""`--serve rootwrap.conf`: becomes the daemon of a configuration and a mount namespace.

Started by systemd with its socket, or by the first client that finds none: of several the one that
gets the lock serves, and the others end. Ends when idle; the next client starts another.
"""

import fcntl
import os
import socket
from collections.abc import Sequence
from typing import Final

from privmigrate.errors import EXIT_BAD_CONFIG, InputError, Refused
from privmigrate.privsep.daemon.profile import CannotDropError
from privmigrate.shim import client
from privmigrate.shim.bad_config import bad_config
from privmigrate.shim.daemon import Executor
from privmigrate.shim.index import Source, make_folder
from privmigrate.shim.oneshot import OWN, OneShotServer

_FIRST_PASSED: Final = 3  # sd_listen_fds(3)
_BACKLOG: Final = 1024


def serve(name: str, config: str, accepted: Sequence[str]) -> int:
    """Serve until idle; give the exit status."""
    environ = {"PATH": os.environ.get("PATH", "")}
    try:
        listener, lock = _passed_socket(), -1
        if listener is None:
            path = client.socket_path(config)
            make_folder()
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            listener = _own_socket(path)
        os.chdir("/")  # nothing stays mounted because of us
        executor = Executor(name, Source(config, environ, tuple(accepted)))
        remarks = executor.give_up_the_rest(OWN)
    except BlockingIOError:
        return 0  # another one serves
    except InputError as error:
        return client.give_up(name, bad_config(name, config, error))
    except Refused as error:
        why = f"{config} will not be used: {error}"
        return client.give_up(name, client.Quit(EXIT_BAD_CONFIG, why))
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        return client.give_up(name, client.Quit(EXIT_BAD_CONFIG, why))
    except CannotDropError as error:
        return client.give_up(name, client.Quit(error.exit_code, str(error)))
    client.limit_descriptors(executor.built.config.rlimit_nofile)
    for remark in remarks:
        executor.log.to_syslog_only(client.WARNING, remark)
    with listener:
        OneShotServer(executor, config, listener, of_unit=lock < 0).serve()
    return 0


def _passed_socket() -> socket.socket | None:
    """The socket that systemd passes, if it started us for one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    listener = socket.socket(fileno=_FIRST_PASSED)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_SEQPACKET:
        raise InputError("the socket that was passed is no ListenSequentialPacket=")
    listener.set_inheritable(False)
    return listener


def _own_socket(path: str) -> socket.socket:
    """Listen in the place of whoever was there before: the lock says that nobody is."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    temporary = f"{path}.{os.getpid()}"
    listener.bind(temporary)
    os.chmod(temporary, 0o600)  # noqa: PTH101 - sudo is the gate
    listener.listen(_BACKLOG)
    os.rename(temporary, path)  # noqa: PTH104 - a client finds the old one or this one
    return listener
