"""Rules for every test: privilege is tested with privilege, and in CI a skip is not a pass.

Real rootwrap files come from two places: .cache/filters, which tools/fetch_filters.py fills from
the projects' wheels, and the corpus, a folder of older ``.filters`` files that the environment
variable PRIVMIGRATE_CORPUS names (without it, ../shared/corpus beside the checkout where that
exists).
"""

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FETCHED = PROJECT / ".cache" / "filters"
SERVICES = Path("/var/lib/privmigrate-services", "python{}.{}".format(*sys.version_info))
"""What tools/services_venv makes; one for each Python, so that checkouts can differ in theirs."""


def pytest_configure() -> None:
    """Take signals back that whoever started us ignores: children would inherit that."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none, and say so."""
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: real users, real sudo, real namespaces")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure where `CI` is set: nothing may pass by not running."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a skip is not a pass: {report.longrepr}"
    return report


def find_filters(folder: Path) -> list[Path]:
    """Every ``.filters`` file below `folder`, in a stable order."""
    return sorted(path for path in folder.rglob("*.filters") if path.is_file())


@pytest.fixture(scope="session")
def fetched_filters() -> list[Path]:
    """The ``.filters`` files of the projects' wheels, in etc/PROJECT/rootwrap.d as they ship."""
    found = find_filters(FETCHED)
    if not found:
        pytest.skip("no real filters: run tools/fetch_filters.py")
    return found


@pytest.fixture(scope="session")
def corpus_filters() -> list[Path]:
    """The older ``.filters`` files of the corpus; empty where there is none."""
    named = os.environ.get("PRIVMIGRATE_CORPUS")
    if named and not Path(named).is_dir():
        pytest.fail(f"PRIVMIGRATE_CORPUS names {named}, which is no folder")
    return find_filters(Path(named) if named else PROJECT.parent / "shared" / "corpus")


@pytest.fixture(scope="session")
def real_filters(fetched_filters: list[Path], corpus_filters: list[Path]) -> list[Path]:
    """Every real ``.filters`` file that is at hand: the wheels' and the corpus's."""
    return fetched_filters + corpus_filters
