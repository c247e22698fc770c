"""Evaluate expressions for the tests, one a line, as the service that the tests play.

Runs as the service's user (or, forking its daemons, as root) in the installed environment, and
imports nothing of the tests. Arguments: the way to become root, the package, its modules, and
options for oslo.config where the service uses it.
"""

import builtins
import importlib
import json
import sys
from collections.abc import Callable


def describe(error: BaseException) -> dict[str, object]:
    """What the tests ask of an exception."""
    fields = ("exit_code", "stdout", "stderr", "cmd", "may_have_run")
    return {
        "error": type(error).__name__,
        "text": str(error),
        "bases": [f"{base.__module__}.{base.__name__}" for base in type(error).__mro__],
        **{name: getattr(error, name) for name in fields if hasattr(error, name)},
    }


def handled(call: Callable[[], object]) -> object:
    """What an unchanged caller sees: its handler for processutils' error, or the value."""
    from oslo_concurrency import processutils

    try:
        return call()
    except processutils.ProcessExecutionError as error:
        return {
            "handled": error.exit_code,
            "stdout": error.stdout,
            "stderr": error.stderr,
            "cmd": error.cmd,
        }


def main(way: str, package: str, modules: str, *configuration: str) -> None:
    """Import the service's package and answer until the input ends."""
    if configuration:
        from oslo_config import cfg

        cfg.CONF(list(configuration), project="sample")
    contexts = importlib.import_module(package)
    namespace: dict[str, object] = {"contexts": contexts, "handled": handled}
    namespace["types"] = importlib.import_module("privmigrate.privsep.types")
    for name in modules.split(","):
        namespace[name] = importlib.import_module(f"{package}.{name}")
    found = [value for value in vars(contexts).values() if type(value).__name__ == "PrivContext"]
    if way == "fork":
        method = importlib.import_module(type(found[0]).__module__).Method.FORK
        for context in found:
            context.start(method)
    for line in sys.stdin:
        try:
            value = builtins.eval(line, namespace)
        except Exception as error:  # noqa: BLE001 - it is what the test wants to see
            answer = describe(error)
        else:
            answer = {"value": value}
        sys.stdout.write(json.dumps(answer, default=repr) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
