"""Puts the shim in front of a service's rootwrap, and takes it away again.

Three ways: `additive` writes the commands into a folder that sudo's secure_path has before the
packaged ones, with a sudoers file of their own; `divert` takes the packaged path itself, so that
sudoers stays as it is and a reinstall of the package does too (dpkg-divert); `overlay` replaces the
commands in a virtual environment. A plan is made first, and a manifest of what was done, from
which everything is put back byte for byte.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

from privmigrate.errors import InputError, PrivmigrateError
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.shim import client, commands, trust, units
from privmigrate.shim.files import (
    Original,
    digest_of,
    inside,
    read_original,
    write_file,
    write_original,
)
from privmigrate.shim.script import render_client, render_daemon

STRATEGIES: Final = ("additive", "divert", "overlay")
MANIFESTS: Final = "/var/lib/privmigrate/shim"
_VERSION: Final = 1
_EXECUTABLE: Final = 0o755
_SUDOERS: Final = 0o440
# What means itself in sudoers files and units, in the name of a file in sudoers.d (one with a dot
# is not read), and in the first line of a script.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ALIAS: Final = re.compile(r"[A-Z][A-Z0-9_]*")  # sudoers(5): ALL, and names of a User_Alias
_PATH: Final = re.compile(r"(/[A-Za-z0-9._+@-]+)+")


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
    """Everything that an installation does, in order."""

    request: Request
    steps: tuple[Step, ...]

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


def make_plan(request: Request, needed: CapabilitySet | None = None) -> Plan:
    """Plan an installation; raise InputError where it cannot be.

    `needed` is what the units leave the daemon; None is everything.
    """
    if request.strategy not in STRATEGIES:
        raise InputError(f"{request.strategy!r} is no way to install ({', '.join(STRATEGIES)})")
    _check_words(request)
    if os.path.exists(inside(request.root, manifest_path(request.service))):  # noqa: PTH110
        raise InputError(
            f"{request.service} is installed already: `privmigrate shim uninstall` first"
        )
    steps = [_command(request, "rootwrap"), _command(request, "rootwrap-daemon")]
    if request.strategy == "additive":
        steps.append(_sudoers(request))
    if request.systemd:
        steps.extend(_units(request, needed))
    return Plan(request, tuple(steps))


def _check_service(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"--service {name!r}: only letters, digits, - and _ can be in it")


def _check_words(request: Request) -> None:
    """Refuse what would mean something else where it is written to."""
    _check_service(request.service)
    if not _USER.fullmatch(request.user) or _ALIAS.fullmatch(request.user):
        raise InputError(f"--user {request.user!r}: sudo would not read this as the name of a user")
    paths = [
        ("--config", request.config),
        ("--bindir", request.bindir),
        ("--python", request.python),
        ("--interpreter", request.interpreter),
        *(("--accept-writable", folder) for folder in request.accepted),
    ]
    for option, path in paths:
        if not _PATH.fullmatch(path) or os.path.normpath(path) != path:
            raise InputError(
                f"{option} {path!r}: has to be an absolute path of letters, digits and . _ + @ -"
                " (sudo, systemd and the first line of a script read it)"
            )


def _command(request: Request, kind: str) -> Step:
    path = f"{request.bindir}/{request.service}-{kind}"
    accepted = [word for folder in request.accepted for word in ("--accept", folder)]
    if kind == "rootwrap":
        slow = [request.python, "-I", "-m", "privmigrate.shim.rootwrap_main", *accepted, "--as"]
        notice = f"Written by `privmigrate shim install --service {request.service}`."
        text = render_client(request.interpreter, slow, notice)
        why = "commands, each with its filter's capabilities"
    else:
        text = render_daemon(request.python, accepted)
        why = "the daemon for callers inside the service"
    found = read_original(request.root, path)
    diverted = ""
    match request.strategy:
        case "additive" if found is not None:
            raise InputError(f"{path} is there already (another --bindir, or --divert)")
        case "divert":
            diverted = f"{path}.distrib" if found is not None else ""
            if found is None and kind == "rootwrap":
                raise InputError(f"{path} is not there: nothing to divert")
            found = None
        case "overlay" if found is None and kind == "rootwrap":
            raise InputError(f"{path} is not there: nothing to replace")
    return Step(path, _EXECUTABLE, text, why, diverted, found)


def _sudoers(request: Request) -> Step:
    path = f"/etc/sudoers.d/privmigrate-{request.service}"
    prefix = f"{request.user} ALL = (root) NOPASSWD: {request.bindir}/{request.service}"
    text = (
        f"# Written by `privmigrate shim install --service {request.service}`.\n"
        f"{prefix}-rootwrap {request.config} *\n"
        f"{prefix}-rootwrap-daemon {request.config}\n"
    )
    why = f"{request.user} may run both, with this configuration alone"
    return Step(path, _SUDOERS, text, why, original=read_original(request.root, path))


def _units(request: Request, needed: CapabilitySet | None) -> tuple[Step, Step]:
    base = f"/etc/systemd/system/{request.service}-privmigrate"
    accepted = [word for folder in request.accepted for word in ("--accept", folder)]
    words = (request.python, "-I", "-m", "privmigrate.shim.rootwrap_main", *accepted)
    command = (*words, "--serve", request.config, "--as", f"{request.service}-rootwrap")
    socket = units.render_socket(
        request.service, client.socket_path(request.config, everywhere=True)
    )
    service = units.render_service(request.service, command, needed)
    return (
        _unit(request, f"{base}.socket", socket, "systemctl enable --now makes it listen"),
        _unit(request, f"{base}.service", service, "the daemon behind `execution = daemon`"),
    )


def _unit(request: Request, path: str, text: str, why: str) -> Step:
    return Step(path, 0o644, text, why, original=read_original(request.root, path))


def apply(plan: Plan) -> None:
    """Do what the plan says; what was done before an error is taken back."""
    root = plan.request.root
    done: list[Step] = []
    try:
        for step in plan.steps:
            _apply_step(step, root)
            done.append(step)
        _write_manifest(plan)
    except BaseException:
        for step in reversed(done):
            with suppress(OSError, PrivmigrateError):  # the others all the same
                _take_back(step, root)
        raise


def _apply_step(step: Step, root: str) -> None:
    if step.diverted:
        commands.divert(step.path, step.diverted, root)
    path = inside(root, step.path)
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    check = commands.check_sudoers if step.mode == _SUDOERS else None
    try:
        write_file(path, step.text.encode(), step.mode, check=check)
    except BaseException:
        if step.diverted:
            commands.undivert(step.path, step.diverted, root)
        raise


def _take_back(step: Step, root: str) -> None:
    path = inside(root, step.path)
    if step.original is not None:
        write_original(path, step.original)
    else:
        os.unlink(path)  # noqa: PTH108
    if step.diverted:
        commands.undivert(step.path, step.diverted, root)


def uninstall(service: str, root: str, *, force: bool = False) -> tuple[str, ...]:
    """Put back what stood there; say what was done. Raise InputError with nothing done.

    With `force` files that someone has changed stay as they are.
    """
    plan = read_manifest(service, root)
    changed = [step for step in plan.steps if not is_intact(step, root)]
    if changed and not force:
        raise InputError(
            f"{changed[0].path} is not as it was written: someone changed it"
            " (--force takes back the others and leaves it)"
        )
    said = []
    for step in reversed(plan.steps):
        if step in changed:
            said.append(_left(step, root))
            continue
        _take_back(step, root)
        said.append(f"{'restored' if step.original or step.diverted else 'removed'} {step.path}")
    manifest = inside(root, manifest_path(service))
    os.unlink(manifest)  # noqa: PTH108
    with suppress(OSError):  # our own folders, where nothing else is in them
        for folder in (MANIFESTS, os.path.dirname(MANIFESTS)):  # noqa: PTH120
            os.rmdir(inside(root, folder))  # noqa: PTH106
    return tuple(said)


def _left(step: Step, root: str) -> str:
    if not os.path.lexists(inside(root, step.path)):
        text = f"not there any more: {step.path}"
    else:
        text = f"left as it is: {step.path}, which someone changed"
    if step.diverted:
        text += f"; the package's own is still diverted to {step.diverted} (dpkg-divert --remove)"
    return text


def manifest_path(service: str) -> str:
    """Where the manifest of a service lies."""
    return f"{MANIFESTS}/{service}.json"


def _write_manifest(plan: Plan) -> None:
    path = inside(plan.request.root, manifest_path(plan.request.service))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
    steps = [{**asdict(step), "text": "", "sha256": step.digest} for step in plan.steps]
    value = {"version": _VERSION, "request": asdict(plan.request), "steps": steps}
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
    _check_service(service)
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
        return Plan(replace(request, root=root), tuple(steps))
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


def why_not_ours(paths: tuple[str, ...], accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Why our own files are not to be believed; root is going to execute them."""
    return trust.reasons(paths, accepted)
