"""Real processes with real privileges: forked, dropped, looked at, gone."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import Credentials, parse_status
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep.daemon.drop import STEPS, Step, drop
from privmigrate.privsep.daemon.profile import CannotDropError, Profile

Report = dict[str, object]


@dataclass(frozen=True)
class Programs:
    """Copies of cat(1), which shows what it holds, with privileges of their own."""

    plain: str
    setuid: str
    net_raw: str
    sys_admin: str


def held_by(
    program: str,
    *words: str,
    limit: CapabilitySet | None = None,
) -> Credentials | OSError:
    """Run a copy of cat, or a shell with a script, on /proc/self/status and read the answer."""
    argv = (program, *(words or ("/proc/self/status",)))
    out, inlet = os.pipe()
    try:
        with spawn(Program(program, argv, {}, stdout=inlet), capabilities=limit) as process:
            os.close(inlet)
            inlet = -1
            with os.fdopen(out, "rb", closefd=False) as stream:
                text = stream.read().decode()
            assert process.wait() == 0
    except OSError as error:
        return error
    finally:
        os.close(out)
        if inlet >= 0:
            os.close(inlet)
    return parse_status(text, 0)


def in_daemon(
    profile: Profile,
    body: Callable[[], object],
    *,
    steps: tuple[Step, ...] = STEPS,
    before: Callable[[], None] = lambda: None,
) -> Report:
    """Fork, become a daemon by the profile, call, and give the call's JSON value."""
    out, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        report: Report
        try:
            before()
            drop(profile, steps)
            report = {"value": body()}
        except CannotDropError as error:
            report = {"number": error.number, "exit": error.exit_code, "why": str(error)}
        except BaseException as error:  # noqa: BLE001 - told to the test
            report = {"error": repr(error)}
        os.write(inlet, json.dumps(report).encode())
        os._exit(0)
    os.close(inlet)
    with os.fdopen(out, "rb") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    found: Report = json.loads(text)
    assert "error" not in found, found["error"]
    return found
