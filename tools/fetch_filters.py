"""Fetch the rootwrap files that OpenStack's projects ship, for tests with real input.

Each wheel is downloaded with pip, compared with its recorded digest, and its ``rootwrap.conf``
and ``.filters`` files are kept in .cache/filters/PROJECT-VERSION/. What is there is not fetched
again, so a second run needs no network. They are read by tests and never part of this project.
"""

import sys
from pathlib import Path, PurePosixPath
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.releases import CACHE, Release, fetch_missing

TARGET: Final = CACHE / "filters"

# The newest release of each project, and for three of them the oldest wheel with filters.
RELEASES: Final = (
    Release(
        "ceilometer",
        "27.0.0",
        "33573e3ed6e0c76909e18d98f011d732b94830e54a2850f501b9186f57dd567f",
    ),
    Release(
        "cinder",
        "12.0.10",
        "85337e3cfd987cf6594b706dfbd69545310efe47beafb9d4042cc8137d64df98",
    ),
    Release(
        "cinder",
        "29.0.0",
        "da8b1441740fb2dcfd76138607c6a96fc14d2548826741a6246bbd0d73f88860",
    ),
    Release(
        "designate",
        "23.0.0",
        "5df2306b4104fcf1f957d6d2ba4f9d5f9e6c18222b39fef9118a020e86417765",
    ),
    Release(
        "glance_store",
        "5.7.0",
        "04407c970628bf03338dc75c3700165cb6ff76b26bd24a8e0f7c07a8cf2c9cf9",
    ),
    Release(
        "manila",
        "23.0.1",
        "3237549ee1dc3fc0846190db6e657a9cc4e56f220c95baa9f48cbd1c550536c6",
    ),
    Release(
        "neutron",
        "10.0.7",
        "62207276aa387aff5ee413644b786479df62a056270ccb923a8d149c6f14d511",
    ),
    Release(
        "neutron",
        "29.0.0",
        "6e998e2e55d233ff757f3ae1d53dd8dfd2cb455a01868e494c22fd6b8b0aba36",
    ),
    Release(
        "nova",
        "17.0.13",
        "18b0fafbb09ec4bdf231771a5248b854dd062e942269b7a8c31aa35d82eb4160",
    ),
    Release(
        "nova",
        "34.0.0",
        "8b46997836961762608e6e46e6d4945325d8a1fb8004e79e552e55839061f10c",
    ),
    Release(
        "os-brick",
        "7.1.1",
        "f7b9a51af6d281991df62cceb683630a041bde617d3303079033868d719a29ad",
    ),
    Release(
        "sahara",
        "19.0.0",
        "bdc7a0206312d08cf278d9d91020da3362ae36a4f9541e1bb22ef7d74fb3fb12",
    ),
)


def place_of(name: str) -> str | None:
    """Where a wheel's member is kept: a rootwrap file as it stands below the data folder."""
    path = PurePosixPath(name)
    if path.suffix == ".filters" or (path.suffix == ".conf" and "rootwrap" in path.stem):
        return name.rpartition(".data/data/")[2]
    return None


def main() -> int:
    """Fetch what is missing."""
    return fetch_missing(RELEASES, TARGET, place_of)


if __name__ == "__main__":
    sys.exit(main())
