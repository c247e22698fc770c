"""A command that runs the command behind it.

``env``, ``nice``, ``timeout``, ``xargs`` and their like execute their own arguments. A
CommandFilter for one of them allows every other command as well.

Instead: a ChainingRegExpFilter, which wants a filter for the command behind the prefix; in
generated code a typed prefix such as ``under=Ionice(...)``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM103"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way(
        "env nice nohup setsid time chronic ionice cgexec eatmydata dbus-run-session",
        "/tmp/x",
        Gain.RUN,
    ),
    Way("stdbuf", "-o0 /tmp/x", Gain.RUN),
    Way("timeout", "9 /tmp/x", Gain.RUN),
    Way("xargs", "-a /dev/null /tmp/x", Gain.RUN, "/tmp/x"),
    Way("chroot", "/ /tmp/x", Gain.RUN),
    Way("nsenter", "-t 1 -m /tmp/x", Gain.RUN, "/tmp/x"),
    Way("unshare", "/tmp/x", Gain.RUN),
    Way("setpriv capsh", "-- /tmp/x", Gain.RUN, "/tmp/x"),
    Way("sudo doas", "/tmp/x", Gain.RUN),
    Way("su runuser", "-c /tmp/x", Gain.RUN),
    Way("taskset chrt", "1 /tmp/x", Gain.RUN),
    Way("flock", "/tmp/l /tmp/x", Gain.RUN),
    Way("strace ltrace", "/tmp/x", Gain.RUN),
    Way("watch", "/tmp/x", Gain.RUN),
    Way("script", "-c /tmp/x /dev/null", Gain.RUN, "-c /tmp/x"),
    Way("start-stop-daemon", "-S -x /tmp/x", Gain.RUN, "-x /tmp/x"),
    Way("daemonize setarch linux64 prlimit", "/tmp/x", Gain.RUN),
    Way("firejail bwrap", "/tmp/x", Gain.RUN),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nn: CommandFilter, nice, root\n",
        "2:1",
        "n runs any program as root: nice /tmp/x",
    ),
    Finds(
        "env by itself",
        "[Filters]\ne: CommandFilter, /usr/bin/env, root\n",
        "2:1",
        "e runs any program as root: env /tmp/x",
    ),
    Finds(
        "an EnvFilter without a command of its own",
        "[Filters]\ne: EnvFilter, env, root, A=, env\n",
        "2:1",
        "e runs any program as root: env /tmp/x",
    ),
    Clean(
        "a chain",
        "[Filters]\n"
        "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+\n"
        "l: CommandFilter, lvs, root\n",
    ),
    Clean("one fixed command", "[Filters]\nn: RegExpFilter, nice, root, nice, lvs\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
