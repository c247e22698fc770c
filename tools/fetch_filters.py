"""Fetch the rootwrap files that OpenStack's projects ship, for tests with real input.

Each wheel is downloaded with pip, compared with its recorded digest, and its ``rootwrap.conf``
and ``.filters`` files are kept in .cache/filters/PROJECT-VERSION/. What is there is not fetched
again, so a second run needs no network. They are read by tests and never part of this project.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

TARGET: Final = Path(__file__).resolve().parent.parent / ".cache" / "filters"


@dataclass(frozen=True, slots=True)
class Release:
    """One wheel: what pip calls it, and the SHA-256 of the file."""

    project: str
    version: str
    digest: str

    @property
    def folder(self) -> Path:
        """Where its rootwrap files are kept."""
        return TARGET / f"{self.project}-{self.version}"


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


class FetchError(Exception):
    """A wheel that cannot be had, or is not the recorded one."""


def is_rootwrap_file(name: str) -> bool:
    """Tell whether a wheel's member is a rootwrap configuration or a filters file."""
    path = PurePosixPath(name)
    return path.suffix == ".filters" or (path.suffix == ".conf" and "rootwrap" in path.stem)


def extract(wheel: Path, folder: Path) -> int:
    """Write the rootwrap files of `wheel` below `folder`, as they stand below its data folder."""
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not is_rootwrap_file(member.filename):
                continue
            _, _, inside = member.filename.rpartition(".data/data/")
            target = folder / inside
            if not target.resolve().is_relative_to(folder.resolve()):
                raise FetchError(f"{wheel.name}: {member.filename} leads out of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
            count += 1
    return count


def fetch(release: Release) -> str:
    """Download one wheel and keep its rootwrap files; the folder appears whole or not at all."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET, prefix=".fetch-") as scratch:
        wanted = f"{release.project}=={release.version}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", scratch, wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FetchError(f"{wanted}: pip says: {done.stderr.strip()[-500:]}")
        (wheel,) = Path(scratch).glob("*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != release.digest:
            raise FetchError(f"{wanted}: SHA-256 is {digest}, recorded is {release.digest}")
        kept = Path(scratch) / "kept"
        count = extract(wheel, kept)
        if not count:
            raise FetchError(f"{wanted}: no rootwrap files in {wheel.name}")
        shutil.move(kept, release.folder)
    return f"{wanted}: {count} files"


def main() -> int:
    """Fetch what is missing; say what was done, and 1 where something could not be had."""
    missing = [release for release in RELEASES if not release.folder.is_dir()]
    failures = 0
    with ThreadPoolExecutor(max_workers=4) as pool:
        for future in [pool.submit(fetch, release) for release in missing]:
            try:
                print(future.result(), file=sys.stderr)
            except FetchError as error:
                failures += 1
                print(f"fetch_filters: {error}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
