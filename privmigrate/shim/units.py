"""The systemd units of a service's daemon: its socket, and as little else as its filters allow.

Commands inherit what the daemon is under, so nothing is here that they would notice: no mount
namespace (ProtectSystem=, PrivateTmp= and their kin), since mounts and network namespaces that
commands make have to be everybody's as under rootwrap; no seccomp filter (LockPersonality=,
RestrictRealtime=, SystemCallArchitectures= and their kin), which also would make the daemon differ
from its clients, and decline.
"""

from collections.abc import Sequence

from privmigrate.linux.capabilities import CapabilitySet, every
from privmigrate.shim.oneshot import OWN

_SOCKET = """\
# Written by `privmigrate shim install --service {service} --systemd`.
[Unit]
Description=Commands of {service} that run as root

[Socket]
ListenSequentialPacket={path}
SocketMode=0600
DirectoryMode=0755
Backlog=1024

[Install]
WantedBy=sockets.target
"""
_SERVICE = """\
# Written by `privmigrate shim install --service {service} --systemd`.
[Unit]
Description=Commands of {service} that run as root
Requires={service}-privmigrate.socket

[Service]
ExecStart={command}
# what a command started and left running is not the daemon's to end
KillMode=process
CapabilityBoundingSet={capabilities}
NoNewPrivileges={no_new_privileges}
UMask=0022
"""


def render_socket(service: str, path: str) -> str:
    """The text of SERVICE-privmigrate.socket."""
    return _SOCKET.format(service=service, path=path.replace("%", "%%"))


def render_service(service: str, command: Sequence[str], needed: CapabilitySet | None) -> str:
    """The text of SERVICE-privmigrate.service; without limits, every capability is named."""
    kept = every() if needed is None else needed | OWN | _to_drop()
    return _SERVICE.format(
        service=service,
        command=" ".join(word.replace("%", "%%") for word in command),
        capabilities=" ".join(kept.names),
        no_new_privileges="no" if needed is None else "yes",  # as the daemon itself
    )


def _to_drop() -> CapabilitySet:
    """What the daemon needs to give up the rest, and then gives up too."""
    return CapabilitySet.parse("CAP_SETPCAP CAP_SETUID CAP_SETGID")
