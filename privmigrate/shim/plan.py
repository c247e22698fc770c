"""How each filter stands in the index: what its commands may hold, and who runs them."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.linux.capabilities import NONE, CapabilitySet, every
from privmigrate.linux.spawn import FILE_CAPABILITIES
from privmigrate.privsep.knowledge.declared import Declared
from privmigrate.privsep.knowledge.granted import granted
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.rule import Rule
from privmigrate.rootwrap.settings import Settings
from privmigrate.rootwrap.words import runs_of
from privmigrate.shim import trust

KINDS: Final = {
    "CommandFilter": "C",
    "RegExpFilter": "R",
    "PathFilter": "P",
    "KillFilter": "K",
    "ReadFileFilter": "F",
    "IpFilter": "I",
    "EnvFilter": "E",
    "ChainingFilter": "H",
    "IpNetnsExecFilter": "N",
    "ChainingRegExpFilter": "G",
}
_UNANSWERABLE: Final = "S"  # asking oslo.rootwrap's object of it raises: the policy says how
_VFS_CAP_DATA: Final = struct.Struct("<5I")  # magic, permitted and inheritable: low, then high


@dataclass(frozen=True, slots=True)
class Planned:
    """A filter as the index holds it; `capabilities` is None for all that there are."""

    rule: Rule
    kind: str
    exec_path: str
    run_as: str
    args: tuple[str, ...]
    capabilities: CapabilitySet | None
    source: str
    setuid: bool
    execution: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan is made from besides the rule."""

    settings: Settings
    config: RootwrapConfig
    accepted: Sequence[str]
    declared: Declared


def make(rule: Rule, given: Given) -> Planned:
    """Plan one live rule."""
    settings, config, accepted = given.settings, given.config, given.accepted
    kind = KINDS[rule.filter_class]
    runs = runs_of(rule)
    if kind == "K" and not runs.args:
        kind = _UNANSWERABLE
    exec_path, run_as = runs.exec_path, runs.run_as
    capabilities, source = granted(rule.name, runs, settings, given.declared)
    if capabilities is not None:
        capabilities |= _file_capabilities(exec_path, config.exec_dirs)
    if capabilities is not None and every() <= capabilities:
        capabilities = None
    execution = settings.executions.get(rule.name, settings.execution)
    if settings.mode == "learn":
        execution = "child"  # who watches has to be there at the end
    why_not = None
    if exec_path.startswith("/") and run_as == "root" and os.geteuid() == 0:
        why_not = trust.why_not(os.path.dirname(exec_path), accepted)  # noqa: PTH120 - a text
    return Planned(
        rule,
        kind,
        exec_path,
        run_as,
        runs.args,
        capabilities,
        source,
        settings.setuid_programs,
        execution,
        why_not or "",
    )


def _file_capabilities(exec_path: str, exec_dirs: Sequence[str]) -> CapabilitySet:
    """What the program's file would give: without it in the bounding set, exec fails with EPERM."""
    for folder in exec_dirs if not exec_path.startswith("/") else ("",):
        path = os.path.join(folder, exec_path)  # noqa: PTH118 - a text
        try:
            data = os.getxattr(path, FILE_CAPABILITIES)
        except FileNotFoundError:
            continue
        except OSError:
            return NONE
        if len(data) < _VFS_CAP_DATA.size:
            return NONE
        _, low, _, high, _ = _VFS_CAP_DATA.unpack(data[: _VFS_CAP_DATA.size])
        return CapabilitySet(low | high << 32)
    return NONE
