"""The capabilities under the names that oslo.privsep gives them.

``from privmigrate.privsep import capabilities`` is all that changes for code that wrote
``from oslo_privsep import capabilities``: every ``CAP_*``, `Capabilities`, `CAPS_BYNAME`,
`CAPS_BYVALUE`, `set_keepcaps`, `drop_all_caps_except`, `get_caps`. Like oslo.privsep's, the
functions act on the calling thread alone, and `drop_all_caps_except` does not bind what is
executed afterwards: that is `privmigrate.privsep.daemon.drop`.
"""

from collections.abc import Iterable
from typing import Final

from privmigrate.linux import thread
from privmigrate.linux.capabilities import Capability, CapabilitySet, read_sets, write_sets

Capabilities = Capability

CAP_CHOWN: Final = Capability.CAP_CHOWN
CAP_DAC_OVERRIDE: Final = Capability.CAP_DAC_OVERRIDE
CAP_DAC_READ_SEARCH: Final = Capability.CAP_DAC_READ_SEARCH
CAP_FOWNER: Final = Capability.CAP_FOWNER
CAP_FSETID: Final = Capability.CAP_FSETID
CAP_KILL: Final = Capability.CAP_KILL
CAP_SETGID: Final = Capability.CAP_SETGID
CAP_SETUID: Final = Capability.CAP_SETUID
CAP_SETPCAP: Final = Capability.CAP_SETPCAP
CAP_LINUX_IMMUTABLE: Final = Capability.CAP_LINUX_IMMUTABLE
CAP_NET_BIND_SERVICE: Final = Capability.CAP_NET_BIND_SERVICE
CAP_NET_BROADCAST: Final = Capability.CAP_NET_BROADCAST
CAP_NET_ADMIN: Final = Capability.CAP_NET_ADMIN
CAP_NET_RAW: Final = Capability.CAP_NET_RAW
CAP_IPC_LOCK: Final = Capability.CAP_IPC_LOCK
CAP_IPC_OWNER: Final = Capability.CAP_IPC_OWNER
CAP_SYS_MODULE: Final = Capability.CAP_SYS_MODULE
CAP_SYS_RAWIO: Final = Capability.CAP_SYS_RAWIO
CAP_SYS_CHROOT: Final = Capability.CAP_SYS_CHROOT
CAP_SYS_PTRACE: Final = Capability.CAP_SYS_PTRACE
CAP_SYS_PACCT: Final = Capability.CAP_SYS_PACCT
CAP_SYS_ADMIN: Final = Capability.CAP_SYS_ADMIN
CAP_SYS_BOOT: Final = Capability.CAP_SYS_BOOT
CAP_SYS_NICE: Final = Capability.CAP_SYS_NICE
CAP_SYS_RESOURCE: Final = Capability.CAP_SYS_RESOURCE
CAP_SYS_TIME: Final = Capability.CAP_SYS_TIME
CAP_SYS_TTY_CONFIG: Final = Capability.CAP_SYS_TTY_CONFIG
CAP_MKNOD: Final = Capability.CAP_MKNOD
CAP_LEASE: Final = Capability.CAP_LEASE
CAP_AUDIT_WRITE: Final = Capability.CAP_AUDIT_WRITE
CAP_AUDIT_CONTROL: Final = Capability.CAP_AUDIT_CONTROL
CAP_SETFCAP: Final = Capability.CAP_SETFCAP
CAP_MAC_OVERRIDE: Final = Capability.CAP_MAC_OVERRIDE
CAP_MAC_ADMIN: Final = Capability.CAP_MAC_ADMIN
CAP_SYSLOG: Final = Capability.CAP_SYSLOG
CAP_WAKE_ALARM: Final = Capability.CAP_WAKE_ALARM
CAP_BLOCK_SUSPEND: Final = Capability.CAP_BLOCK_SUSPEND
CAP_AUDIT_READ: Final = Capability.CAP_AUDIT_READ
CAP_PERFMON: Final = Capability.CAP_PERFMON
CAP_BPF: Final = Capability.CAP_BPF
CAP_CHECKPOINT_RESTORE: Final = Capability.CAP_CHECKPOINT_RESTORE

CAPS_BYNAME: Final = {capability.name: int(capability) for capability in Capability}
CAPS_BYVALUE: Final = {int(capability): capability.name for capability in Capability}


def set_keepcaps(enable: bool) -> None:  # noqa: FBT001 - oslo.privsep's signature
    """Keep the permitted set when the thread's uid leaves 0, as prctl(2) says."""
    thread.set_keepcaps(enable=enable)


def drop_all_caps_except(
    effective: Iterable[int],
    permitted: Iterable[int],
    inheritable: Iterable[int],
) -> None:
    """Set the calling thread's effective, permitted and inheritable set to these."""
    write_sets(
        CapabilitySet.from_numbers(effective),
        CapabilitySet.from_numbers(permitted),
        CapabilitySet.from_numbers(inheritable),
    )


def get_caps() -> tuple[list[int], list[int], list[int]]:
    """Give the calling thread's effective, permitted and inheritable set as sorted lists."""
    held = read_sets()
    return list(held.effective), list(held.permitted), list(held.inheritable)
