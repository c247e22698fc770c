"""Evaluate expressions for the tests, one a line, as a service that uses real privileged modules.

Runs as the service's user and imports nothing of the tests. Arguments: the helper's command or
``default``, and the modules to import.
"""

import builtins
import importlib
import json
import os
import sys

from oslo_config import cfg


def describe(error: BaseException) -> dict[str, object]:
    """What a caller can see of an exception."""
    kind = type(error)
    fields = ("exit_code", "stdout", "stderr", "cmd", "errno", "filename", "code", "msg")
    return {
        "error": f"{kind.__module__}.{kind.__qualname__}",
        "text": str(error),
        **{name: getattr(error, name) for name in fields if hasattr(error, name)},
    }


def main(helper: str, *modules: str) -> None:
    """Import the modules and answer until the input ends."""
    # what services print is no answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # before os-brick: it registers options that its own set-up expects
    importlib.import_module("oslo_concurrency.lockutils")
    cfg.CONF([], project="service", default_config_files=[], default_config_dirs=[])
    namespace: dict[str, object] = {"sys": sys}
    for name in modules:
        importlib.import_module(name)
        top = name.partition(".")[0]
        namespace[top] = sys.modules[top]
    if helper != "default":
        for section in cfg.CONF._groups:  # the sections of all contexts
            if "helper_command" in cfg.CONF[section]:
                cfg.CONF.set_override("helper_command", helper, group=section)
    for line in sys.stdin:
        try:
            answer = {"value": builtins.eval(line, namespace)}
        except Exception as error:  # noqa: BLE001 - it is what the test wants to see
            answer = describe(error)
        answers.write(json.dumps(answer, default=repr) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
