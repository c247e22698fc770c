"""Takes an installation of the shim away: everything is put back byte for byte, from the manifest.

Works from wherever an installation, or an earlier attempt at this, was killed.
"""

# Paths are texts here, as they are for oslo.rootwrap.
# ruff: noqa: PTH106, PTH108, PTH208

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from privmigrate.errors import InputError, PrivmigrateError
from privmigrate.shim import commands
from privmigrate.shim.files import TEMPORARY, inside, write_original
from privmigrate.shim.manifest import (
    MANIFEST_FOLDERS,
    UNITS,
    Plan,
    Step,
    is_as_before,
    is_between,
    is_intact,
    manifest_path,
    read_manifest,
)

_REFERRING: Final = (UNITS, "/run/systemd/system")
_REFERENCES: Final = (".wants", ".requires", ".upholds")


@dataclass(frozen=True, slots=True)
class Removal:
    """Everything that is done to take an installation away, in order.

    Attributes:
        enabled: the links by which systemd starts the units.
        active: the units that run, where a systemd does.
        changed: what someone has changed, which stays as it is.
    """

    plan: Plan
    enabled: tuple[str, ...]
    active: tuple[str, ...]
    changed: tuple[Step, ...]

    def lines(self) -> tuple[str, ...]:
        """The plan for people."""
        root = self.plan.request.root
        found = [f"stop {unit}" for unit in self.active]
        found += [f"disable {link.rpartition('/')[2]}: remove {link}" for link in self.enabled]
        for step in reversed(self.plan.steps):
            if step in self.changed:
                found.append(_left(step, root))
            elif is_intact(step, root) or is_between(step, root):
                verb = "restore" if step.original or step.diverted else "remove"
                found.append(f"{verb} {step.path}")
            else:
                found.append(f"leave {step.path}: it is as before")
        return tuple(found)


def make_removal(service: str, root: str, *, force: bool = False) -> Removal:
    """Plan it; raise InputError where someone has changed a file, unless that is to stay."""
    plan = read_manifest(service, root)
    changed = tuple(step for step in plan.steps if _is_changed(step, root))
    if changed and not force:
        raise InputError(
            f"{changed[0].path} is not as it was written: someone changed it"
            " (--force takes back the others and leaves it)"
        )
    names = _unit_names(plan, changed)
    active = commands.active_units(names) if root == "/" and names else ()
    return Removal(plan, tuple(_enabled(names, root)), active, changed)


def uninstall(removal: Removal) -> None:
    """Do it; raise InputError or OSError with the rest still to do, which may be tried again."""
    plan = removal.plan
    root = plan.request.root
    commands.stop_units(removal.active)
    for link in removal.enabled:
        place = inside(root, link)
        os.unlink(place)
        _remove_folder(os.path.dirname(place))  # noqa: PTH120 - as systemctl
    for step in reversed(plan.steps):
        _clean(step, root)
        if step not in removal.changed:
            _take_back_step(step, root)
    _forget(plan)
    if root == "/" and _unit_names(plan, removal.changed):
        commands.reload_units()


def take_back_all(plan: Plan) -> bool:
    """Take back an installation that failed; say whether all was, or uninstall has to again."""
    root, failed = plan.request.root, False
    for step in reversed(plan.steps):
        try:
            _clean(step, root)
            if not _is_changed(step, root):
                _take_back_step(step, root)
        except (OSError, PrivmigrateError):  # the others all the same
            failed = True
    if not failed:
        _forget(plan)
    return not failed


def _is_changed(step: Step, root: str) -> bool:
    return not (is_intact(step, root) or is_as_before(step, root) or is_between(step, root))


def _forget(plan: Plan) -> None:
    """Take away the folders that were made, where nothing else is in them, and the manifest."""
    root = plan.request.root
    for folder in reversed(plan.folders):
        _remove_folder(inside(root, folder))
    manifest = inside(root, manifest_path(plan.request.service))
    _remove(manifest + TEMPORARY)
    _remove(manifest)
    for folder in reversed(MANIFEST_FOLDERS):
        _remove_folder(inside(root, folder))


def _clean(step: Step, root: str) -> None:
    """Take away what was being written when it was killed."""
    _remove(inside(root, step.path) + TEMPORARY)


def _take_back_step(step: Step, root: str) -> None:
    path = inside(root, step.path)
    if is_intact(step, root):
        if step.original is not None:
            write_original(path, step.original)
        else:
            os.unlink(path)
    elif not is_between(step, root):
        return
    if step.diverted:
        commands.undivert(step.path, step.diverted, root)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def _remove_folder(path: str) -> None:
    with suppress(OSError):  # where something else is in it
        os.rmdir(path)


def _unit_names(plan: Plan, changed: tuple[Step, ...]) -> tuple[str, ...]:
    """The units that go away."""
    folder = f"{UNITS}/"
    paths = (step.path for step in plan.steps if step not in changed)
    return tuple(path.removeprefix(folder) for path in paths if path.startswith(folder))


def _enabled(names: tuple[str, ...], root: str) -> Iterator[str]:
    """The links by which units are started with others, as `systemctl enable` makes them."""
    for folder in _REFERRING:
        for entry in _entries(inside(root, folder)):
            if not entry.endswith(_REFERENCES):
                continue
            for name in names:
                link = f"{folder}/{entry}/{name}"
                if os.path.islink(inside(root, link)):  # noqa: PTH114
                    yield link


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _left(step: Step, root: str) -> str:
    if not os.path.lexists(inside(root, step.path)):
        text = f"not there any more: {step.path}"
    else:
        text = f"left as it is: {step.path}, which someone changed"
    if step.diverted:
        text += f"; the package's own is still diverted to {step.diverted} (dpkg-divert --remove)"
    return text
