"""Asking a driver: a process of a service that evaluates an expression for each line it reads."""

import json
import subprocess
from typing import Any


def ask(process: subprocess.Popen[str], expression: str) -> dict[str, Any]:
    """Evaluate an expression there: its value under ``value``, or what was raised."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(expression + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        raise AssertionError(f"the driver ended: {process.stderr.read()}")
    answer: dict[str, Any] = json.loads(line)
    return answer
