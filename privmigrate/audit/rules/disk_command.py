"""A command that reaches any disk.

Device mapper, partitions, filesystems: what writes below the filesystem writes every file, and
what reads there reads them.

Instead: a pattern for the devices that belong to the service (/dev/VG/...).
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.audit.runnable import Place
from privmigrate.examples import Clean, Finds

CODE: Final = "PM115"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("dmsetup", "create x --table '0 999 linear /dev/sda 0'", Gain.DEVICE),
    Way("qemu-nbd", "-c /dev/nbd0 /dev/sda", Gain.DEVICE, "/dev/sda"),
    Way("qemu-img", "convert /dev/sda /tmp/s", Gain.DEVICE, place=Place.FIRST),
    Way(
        "lvcreate lvconvert lvextend lvresize lvrename lvremove lvchange vgcreate "
        "vgremove vgchange vgextend pvcreate pvremove pvresize vgs lvs pvs lvdisplay "
        "vgdisplay pvscan vgscan lvscan lvm",
        "--config 'log{file=\"/etc/cron.d/x\"}'",
        Gain.WRITE,
        place=Place.TOGETHER,
    ),
    Way(
        "parted sgdisk fdisk sfdisk gdisk wipefs blkdiscard shred partprobe",
        "/dev/sda",
        Gain.DEVICE,
    ),
    Way(
        "mkfs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mke2fs mkswap mkfs.ntfs mkfs.vfat",
        "/dev/sda1",
        Gain.DEVICE,
    ),
    Way("cryptsetup", "luksFormat /dev/sda1", Gain.DEVICE, "/dev/sda1"),
    Way(
        "tune2fs e2fsck resize2fs xfs_growfs xfs_admin debugfs fsck xfs_repair",
        "/dev/sda1",
        Gain.DEVICE,
    ),
    Way("kpartx blockdev hdparm sg_dd dd_rescue ddrescue", "/dev/sda", Gain.DEVICE),
    Way("dd", "if=/dev/sda of=/tmp/s", Gain.DEVICE, "if=/dev/sda"),
    Way("tgtadm", "--op new --mode logicalunit --backing-store /dev/sda", Gain.DEVICE, "/dev/sda"),
    Way("tgt-admin", "-c /tmp/x --execute", Gain.DEVICE, "-c /tmp/x"),
    Way("ietadm", "--op new --tid 1 --params Path=/dev/sda", Gain.DEVICE, "Path=/dev/sda"),
    Way(
        "cinder-rtstool",
        "create /dev/sda iqn.x user password",
        Gain.DEVICE,
        "create /dev/sda",
        place=Place.FIRST,
    ),
    Way("targetcli", "/backstores/block create x /dev/sda", Gain.DEVICE, "/dev/sda"),
    Way("nvmetcli", "restore /tmp/x", Gain.DEVICE),
    Way("scstadmin", "-config /tmp/x", Gain.DEVICE),
    Way("zfs zpool btrfs", "send rpool", Gain.DEVICE, place=Place.FIRST),
    Way("drbdadm", "-c /tmp/x up all", Gain.RUN, "-c /tmp/x"),
    Way(
        "mdadm", "--monitor --test --oneshot --scan --program=/tmp/x", Gain.RUN, "--program=/tmp/x"
    ),
    Way("rbd-nbd", "map /dev/sda", Gain.DEVICE),
    Way("mdadm", "--create /dev/md9 /dev/sda", Gain.DEVICE, "/dev/sda"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nd: CommandFilter, dmsetup, root\n",
        "2:1",
        "d reads and writes any disk as root: dmsetup create x --table '0 999 linear /dev/sda 0'",
    ),
    Finds(
        "variables in front",
        "[Filters]\nl: EnvFilter, env, root, LC_ALL=C, lvs\n",
        "2:1",
        "l writes any file as root: lvs --config 'log{file=\"/etc/cron.d/x\"}'",
    ),
    Finds(
        "any device",
        "[Filters]\nm: RegExpFilter, mkfs, root, mkfs, -t, ext4, /dev/.*\n",
        "2:1",
        "m reads and writes any disk as root: mkfs -t ext4 /dev/sda1",
    ),
    Clean(
        "the devices of one group",
        "[Filters]\nm: RegExpFilter, mkfs, root, mkfs, -t, ext4, /dev/cinder-volumes/[^/]+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
