"""Run unit tests of a service inside its own environment, and write one line of JSON per test.

    python run_tests.py --results FILE [--entrypoints none|old --facts FILE] [--only FILE] MODULE...

What a test prints goes nowhere. With ``--entrypoints none`` an entrypoint of privmigrate raises
instead of starting a daemon, and what it was asked is written down; with ``old`` the call that it
took the place of is made after all, and both are compared.
"""

import argparse
import json
import logging
import os
import sys
import time
import unittest
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

_LONGEST = 6000


class Results(unittest.TestResult):
    """Writes down how each test ends."""

    def __init__(self, out: TextIO, reached: "list[dict[str, object]]") -> None:
        super().__init__()
        self._out = out
        self._reached = reached
        self._outcome, self._text, self._since = "passed", "", 0.0

    def _write(self, **fields: object) -> None:
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's
        """A test that hangs is known by its line without an end."""
        super().startTest(test)
        self._outcome, self._text, self._since = "passed", "", time.monotonic()
        self._reached.clear()
        self._write(test=test.id(), outcome="started")

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's
        """Everything about it is known."""
        super().stopTest(test)
        self._write(
            test=test.id(),
            outcome=self._outcome,
            text=self._text,
            reached=list(self._reached),
            seconds=round(time.monotonic() - self._since, 3),
        )
        logging.getLogger().handlers.clear()

    def _failed(self, test: unittest.TestCase, err: object) -> None:
        text = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        self._outcome, self._text = "failed", (self._text + text)[-_LONGEST:]

    def addError(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802 - unittest's
        """It raised; so may the import of its module."""
        self._failed(test, err)

    def addFailure(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802 - unittest's
        """An assertion did not hold."""
        self._failed(test, err)

    def addSubTest(  # noqa: N802 - unittest's
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: object
    ) -> None:
        """A part of it failed, or none."""
        if err is not None:
            self._failed(subtest, err)
            del test

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802 - unittest's
        """It cannot run here."""
        super().addSkip(test, reason)
        self._outcome, self._text = "skipped", reason

    def addExpectedFailure(  # noqa: N802 - unittest's
        self, test: unittest.TestCase, err: object
    ) -> None:
        """It failed as it should."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's
        """It passed and should not."""
        super().addUnexpectedSuccess(test)
        self._outcome = "failed"


def _flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _flat(each)
        else:
            yield each


def main(arguments: Sequence[str]) -> int:
    """Run the tests of these modules, or only those that are listed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--entrypoints", choices=("none", "old"))
    parser.add_argument("--facts", type=Path)
    parser.add_argument("--only", type=Path)
    parser.add_argument("modules", nargs="+")
    given = parser.parse_args(arguments)
    sys.path.insert(0, str(Path.cwd()))
    warnings.simplefilter("ignore")
    reached: list[dict[str, object]] = []
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromName(name) for name in given.modules)
    if given.entrypoints:
        import bridge

        bridge.install(reached, old=given.entrypoints == "old", facts=given.facts)
    only = set(given.only.read_text().splitlines()) if given.only else None
    tests = [each for each in _flat(suite) if only is None or each.id() in only]
    with given.results.open("w") as out:
        results = Results(out, reached)
        for test in tests:
            test(results)
        out.write(json.dumps({"outcome": "done"}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads that tests have left behind are nobody's business


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
