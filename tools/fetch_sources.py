"""Fetch the Python sources of OpenStack's projects, for tests of the analysis of call sites.

Each wheel's modules, without their tests' data, are kept in .cache/sources/PROJECT-VERSION/, with
the filters that it ships. They are read by tests, never imported, and no part of this project.
"""

import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.fetch_filters import RELEASES as WITH_FILTERS
from tools.fetch_filters import place_of as place_of_filters
from tools.releases import CACHE, Release, fetch_missing

TARGET: Final = CACHE / "sources"
_NEWEST: Final = {
    "cinder": "29.0.0",
    "glance_store": "5.7.0",
    "manila": "23.0.1",
    "neutron": "29.0.0",
    "os-brick": "7.1.1",
}

# The newest that still call commands as root, and nova before it moved to privsep.
RELEASES: Final = (
    *(each for each in WITH_FILTERS if _NEWEST.get(each.project) == each.version),
    Release(
        "nova",
        "15.1.5",
        "5e45feb06e42d63cc0a6d544925c2086734a203ba09f68dc4eb4d4a3cc7cbc74",
    ),
)


def place_of(name: str) -> str | None:
    """Where a wheel's member is kept: its Python modules, and its rootwrap files."""
    if name.endswith(".py") and ".data/" not in name:
        return name
    return place_of_filters(name)


def main() -> int:
    """Fetch what is missing."""
    return fetch_missing(RELEASES, TARGET, place_of)


if __name__ == "__main__":
    sys.exit(main())
