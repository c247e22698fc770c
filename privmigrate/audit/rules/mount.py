"""mount with its arguments free.

A filesystem of the caller's own over /etc, or one with a setuid program in it, is root;
``mount`` also runs helpers such as mount.cifs, and with ``-t fuse`` a command line.

Instead: a pattern for the type, the options (with nosuid and nodev) and the folder.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM109"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("mount", "--bind /tmp/etc /etc", Gain.MOUNT),
    Way("mount", "-o suid /tmp/image /mnt", Gain.MOUNT, "/tmp/image"),
    Way("mount", "-t nfs evil:/ /etc", Gain.MOUNT, "/etc"),
    Way("umount", "/etc/sudoers.d", Gain.MOUNT),
    Way("losetup", "-f /dev/sda", Gain.DEVICE, "/dev/sda"),
    Way(
        "mount.nfs mount.nfs4 mount.cifs mount.glusterfs mount.quobyte mount.fuse "
        "mount.ocfs2 fusermount sshfs",
        "evil:/ /etc",
        Gain.MOUNT,
        "/etc",
    ),
    Way("swapon pivot_root", "/tmp/x /tmp", Gain.MOUNT),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nm: CommandFilter, mount, root\n",
        "2:1",
        "m puts any filesystem over any folder as root: mount --bind /tmp/etc /etc",
    ),
    Clean(
        "one type below one folder",
        "[Filters]\n"
        "m: RegExpFilter, mount, root, mount, -t, nfs, -o, nosuid, [a-z]+:/[a-z]+, "
        "/var/lib/x/[^/]+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
