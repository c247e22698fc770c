"""Real services, as tools/fetch_sources.py keeps them: each is analysed once in a run of tests."""

from functools import cache
from pathlib import Path
from typing import Final

from privmigrate.callsites import Findings, Settings, find_sites
from tests.conftest import PROJECT

SOURCES: Final = PROJECT / ".cache" / "sources"


@cache
def sites_of(folder: Path) -> Findings:
    """The calls below a folder of a service."""
    return find_sites([str(folder)], Settings())
