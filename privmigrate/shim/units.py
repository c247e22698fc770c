"""The systemd units of a service's daemon: its socket, and as little else as its filters allow.

Nothing here makes a mount namespace (ProtectSystem=, PrivateTmp= and their kin do): mounts and
network namespaces that commands make have to be everybody's, as under rootwrap.
"""

from collections.abc import Sequence

from privmigrate.linux.capabilities import CapabilitySet, every

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
LockPersonality=yes
SystemCallArchitectures=native
UMask=0022
"""


def render_socket(service: str, path: str) -> str:
    """The text of SERVICE-privmigrate.socket."""
    return _SOCKET.format(service=service, path=path.replace("%", "%%"))


def render_service(service: str, command: Sequence[str], needed: CapabilitySet | None) -> str:
    """The text of SERVICE-privmigrate.service; without limits, every capability is named."""
    kept = every() if needed is None else needed | _to_drop()
    return _SERVICE.format(
        service=service,
        command=" ".join(word.replace("%", "%%") for word in command),
        capabilities=" ".join(kept.names),
    )


def _to_drop() -> CapabilitySet:
    """What the daemon needs to give up the rest, and then gives up too."""
    return CapabilitySet.parse("CAP_SETPCAP CAP_SETUID CAP_SETGID")
