"""A command that controls containers or virtual machines.

Whoever starts a container with / mounted into it, or a machine with /dev/sda as its disk, is root.

Instead: the service's own access to the daemon's socket, with the daemon's own authorisation.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM110"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("docker podman nerdctl", "run -v /:/m -t x chroot /m /tmp/x", Gain.RUN),
    Way("docker podman nerdctl", "exec -u 0 c /tmp/x", Gain.RUN),
    Way("docker podman nerdctl", "run --privileged x /tmp/x", Gain.RUN, "--privileged"),
    Way("lxc-attach lxc-execute lxc-start", "-n x -- /tmp/x", Gain.RUN, "/tmp/x"),
    Way("lxc", "exec x /tmp/x", Gain.RUN),
    Way("systemd-nspawn machinectl", "-D / /tmp/x", Gain.RUN, "/tmp/x"),
    Way("virsh", "create /tmp/x.xml", Gain.RUN),
    Way("qemu-kvm qemu-system-x86_64 kvm", "-drive file=/dev/sda", Gain.DEVICE, "file=/dev/sda"),
    Way("vzctl prlctl", "exec 1 /tmp/x", Gain.RUN),
    Way("ctr crictl runc", "run x y /tmp/x", Gain.RUN),
    Way("kubectl", "exec x -- /tmp/x", Gain.RUN),
    Way("guestmount guestfish virt-edit", "-a /dev/sda", Gain.DEVICE, "/dev/sda"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nd: CommandFilter, docker, root\n",
        "2:1",
        "d runs any program as root: docker run -v /:/m -t x chroot /m /tmp/x",
    ),
    Finds(
        "a container that may do anything",
        "[Filters]\nd: RegExpFilter, docker, root, docker, create, --privileged, \\w+\n",
        "2:1",
        "d runs any program as root: docker create --privileged ...",
    ),
    Clean("listing only", "[Filters]\nd: RegExpFilter, docker, root, docker, ps\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
