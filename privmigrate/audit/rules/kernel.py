"""A command that changes the running kernel.

A module is code in the kernel; ``kernel.core_pattern=|/tmp/x`` runs a program as root whenever a
process crashes.

Instead: the module's name or the parameter as a constant.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM113"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("insmod", "/tmp/x.ko", Gain.LOAD),
    Way("modprobe", "-C /tmp/x anything", Gain.RUN, "-C /tmp/x"),
    Way("modprobe", "-d /tmp x", Gain.LOAD, "-d /tmp"),
    Way("rmmod", "kvm", Gain.STOP),
    Way("kexec", "-l /tmp/x", Gain.LOAD, "/tmp/x"),
    Way("sysctl", "-w 'kernel.core_pattern=|/tmp/x'", Gain.RUN, "'kernel.core_pattern=|/tmp/x'"),
    Way("sysctl", "-p /tmp/x", Gain.RUN),
    Way("bpftool", "prog load /tmp/x /sys/fs/bpf/x", Gain.LOAD, "load /tmp/x"),
    Way("depmod dkms", "-b /tmp x", Gain.LOAD),
    Way("perf", "record -o /tmp/o /tmp/x", Gain.RUN, "/tmp/x"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\ns: CommandFilter, sysctl, root\n",
        "2:1",
        "s runs any program as root: sysctl -w 'kernel.core_pattern=|/tmp/x'",
    ),
    Finds(
        "any parameter",
        "[Filters]\ns: RegExpFilter, sysctl, root, sysctl, -w, .*=.*\n",
        "2:1",
        "s runs any program as root: sysctl -w 'kernel.core_pattern=|/tmp/x'",
    ),
    Clean(
        "one parameter",
        "[Filters]\ns: RegExpFilter, sysctl, root, sysctl, -w, net\\.ipv4\\.ip_forward=[01]\n",
    ),
    Clean("one module", "[Filters]\nm: RegExpFilter, modprobe, root, modprobe, nbd\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
