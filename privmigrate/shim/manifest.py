"""The manifest of an installation: what is going to be written, what stood there, how it stands.

It is written before anything else is done and taken away last, so that an installation that was
killed can be taken back from wherever it was.
"""

# Paths are texts here, as they are for oslo.rootwrap.

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from typing import Final

from privmigrate.errors import InputError
from privmigrate.shim.files import Original, digest_of, inside, read_original, write_file

MANIFESTS: Final = "/var/lib/privmigrate/shim"
MANIFEST_FOLDERS: Final = ("/var/lib/privmigrate", MANIFESTS)
UNITS: Final = "/etc/systemd/system"
_VERSION: Final = 1
# What means itself in sudoers files and units, in the name of a file in sudoers.d (one with a dot
# is not read), and in the first line of a script.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Request:
    """What `shim install` was asked for; all paths are those inside `root`."""

    service: str
    config: str
    bindir: str
    strategy: str = "additive"
    user: str = ""
    root: str = "/"
    interpreter: str = ""
    python: str = ""
    accepted: tuple[str, ...] = ()
    systemd: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One file to write; `diverted` is where dpkg keeps the package's own."""

    path: str
    mode: int
    text: str
    why: str
    diverted: str = ""
    original: Original | None = None

    @property
    def digest(self) -> str:
        """Of what we write: whether it is still that, uninstall asks."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that an installation does, in order.

    Attributes:
        folders: those that had to be made besides the manifest's own, the outer ones first.
        is_done: False while it is done, and for ever if it is killed meanwhile.
    """

    request: Request
    steps: tuple[Step, ...]
    folders: tuple[str, ...] = ()
    is_done: bool = True

    def lines(self) -> tuple[str, ...]:
        """The plan for people."""
        found = []
        for step in self.steps:
            verb = "replace" if step.original else "write"
            if step.diverted:
                found.append(f"divert {step.path} to {step.diverted}")
            found.append(f"{verb} {step.path} ({step.mode:o}): {step.why}")
        found.append(f"write {manifest_path(self.request.service)} (600): how to take it back")
        return tuple(found)


def unit_path(service: str, kind: str) -> str:
    """Where a unit of a service lies."""
    return f"{UNITS}/{service}-privmigrate.{kind}"


def check_service(name: str) -> None:
    """Raise InputError for what is no name of a service."""
    if not _NAME.fullmatch(name):
        raise InputError(f"--service {name!r}: only letters, digits, - and _ can be in it")


def manifest_path(service: str) -> str:
    """Where the manifest of a service lies."""
    return f"{MANIFESTS}/{service}.json"


def write_manifest(plan: Plan) -> None:
    """Write down what is done, or was; raise OSError."""
    path = inside(plan.request.root, manifest_path(plan.request.service))
    steps = [{**asdict(step), "text": "", "sha256": step.digest} for step in plan.steps]
    value = {
        "version": _VERSION,
        "request": asdict(plan.request),
        "steps": steps,
        "folders": plan.folders,
        "is_done": plan.is_done,
    }
    write_file(path, json.dumps(value, indent=1).encode(), 0o600)


@dataclass(frozen=True, slots=True)
class Recorded(Step):
    """A step of a manifest, which holds the digest of what was written and not the text."""

    sha256: str = ""

    @property
    def digest(self) -> str:
        """As it was then."""
        return self.sha256


def read_manifest(service: str, root: str) -> Plan:
    """Read how a service was installed; raise InputError if it was not."""
    check_service(service)
    path = manifest_path(service)
    try:
        with open(inside(root, path), "rb") as file:  # noqa: PTH123 - paths are texts here
            value = json.load(file)
        request = Request(**{**value["request"], "accepted": tuple(value["request"]["accepted"])})
        steps = []
        for entry in value["steps"]:
            original = entry.pop("original")
            kept = None if original is None else Original(**original)
            steps.append(Recorded(**entry, original=kept))
        folders = tuple(map(str, value.get("folders", ())))
        is_done = bool(value.get("is_done", True))
        return Plan(replace(request, root=root), tuple(steps), folders, is_done)
    except FileNotFoundError:
        raise InputError(f"{service} is not installed: there is no {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be used: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be used: {error}") from None


def services(root: str) -> tuple[str, ...]:
    """The services that are installed."""
    try:
        names = os.listdir(inside(root, MANIFESTS))  # noqa: PTH208
    except OSError:
        return ()
    found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return tuple(sorted(filter(_NAME.fullmatch, found)))


def is_intact(step: Step, root: str) -> bool:
    """Whether a file is as it was written."""
    return digest_of(inside(root, step.path)) == step.digest


def is_as_before(step: Step, root: str) -> bool:
    """Whether a place is as it was before, or as its package has it."""
    path = inside(root, step.path)
    if step.diverted:
        return not os.path.lexists(inside(root, step.diverted))
    found = read_original(root, step.path) if os.path.lexists(path) else None
    if found is not None and found.link and step.original is not None:  # links keep no time
        return found == replace(step.original, mtime_ns=found.mtime_ns)
    return found == step.original


def is_between(step: Step, root: str) -> bool:
    """Whether the package's file was diverted and nothing has its place: killed in between."""
    if not step.diverted or os.path.lexists(inside(root, step.path)):
        return False
    return os.path.lexists(inside(root, step.diverted))
