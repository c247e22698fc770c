"""Puts the shim in front of a service's rootwrap, and takes it away again.

Three ways: `additive` writes the commands into a folder that sudo's secure_path has before the
packaged ones, with a sudoers file of their own; `divert` takes the packaged path itself, so that
sudoers stays as it is and a reinstall of the package does too (dpkg-divert); `overlay` replaces the
commands in a virtual environment. A plan is made first, and a manifest of what was done, from
which everything is put back byte for byte.
"""

# Paths are texts here, as they are for oslo.rootwrap.
# ruff: noqa: PTH101, PTH102, PTH112, PTH120

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from privmigrate.errors import InputError
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.shim import client, commands, trust, units
from privmigrate.shim.files import inside, read_original, write_file
from privmigrate.shim.manifest import (
    MANIFESTS,
    Plan,
    Request,
    Step,
    check_service,
    manifest_path,
    unit_path,
    write_manifest,
)
from privmigrate.shim.script import render_client, render_daemon
from privmigrate.shim.uninstall import take_back_all

STRATEGIES: Final = ("additive", "divert", "overlay")
_EXECUTABLE: Final = 0o755
_SUDOERS: Final = 0o440
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ALIAS: Final = re.compile(r"[A-Z][A-Z0-9_]*")  # sudoers(5): ALL, and names of a User_Alias
_PATH: Final = re.compile(r"(/[A-Za-z0-9._+@-]+)+")


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


def _check_words(request: Request) -> None:
    """Refuse what would mean something else where it is written to."""
    check_service(request.service)
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
    accepted = [word for folder in request.accepted for word in ("--accept", folder)]
    words = (request.python, "-I", "-m", "privmigrate.shim.rootwrap_main", *accepted)
    command = (*words, "--serve", request.config, "--as", f"{request.service}-rootwrap")
    socket = units.render_socket(
        request.service, client.socket_path(request.config, everywhere=True)
    )
    service = units.render_service(request.service, command, needed)
    return (
        _unit(request, "socket", socket, "systemctl enable --now makes it listen"),
        _unit(request, "service", service, "the daemon behind `execution = daemon`"),
    )


def _unit(request: Request, kind: str, text: str, why: str) -> Step:
    path = unit_path(request.service, kind)
    return Step(path, 0o644, text, why, original=read_original(request.root, path))


def apply(plan: Plan) -> None:
    """Do what the plan says; what was done before an error is taken back."""
    root, service = plan.request.root, plan.request.service
    folders = _missing_folders([step.path for step in plan.steps], root)
    begun = replace(plan, folders=folders, is_done=False)
    try:
        _make_folders(_missing_folders([manifest_path(service)], root), root)
        write_manifest(begun)
        _make_folders(folders, root)
        for step in begun.steps:
            _apply_step(step, root)
        write_manifest(replace(begun, is_done=True))
    except BaseException as error:
        if not take_back_all(begun):
            advice = f"`privmigrate shim uninstall --service {service}` does when it is repaired"
            raise InputError(str(error), f"not everything could be taken back: {advice}") from error
        raise


def _missing_folders(places: Iterable[str], root: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for place in places:
        missing = []
        folder = os.path.dirname(place)
        while folder not in found and not os.path.isdir(inside(root, folder)):
            missing.append(folder)
            folder = os.path.dirname(folder)
        found.update(dict.fromkeys(reversed(missing)))
    return tuple(found)


def _make_folders(folders: Iterable[str], root: str) -> None:
    for folder in folders:
        os.mkdir(inside(root, folder))
        mode = 0o700 if folder == MANIFESTS else 0o755
        os.chmod(inside(root, folder), mode)  # whatever the umask


def _apply_step(step: Step, root: str) -> None:
    if step.diverted:
        commands.divert(step.path, step.diverted, root)
    check = commands.check_sudoers if step.mode == _SUDOERS else None
    write_file(inside(root, step.path), step.text.encode(), step.mode, check=check)


def why_not_ours(paths: tuple[str, ...], accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Why our own files are not to be believed; root is going to execute them."""
    return trust.reasons(paths, accepted)
