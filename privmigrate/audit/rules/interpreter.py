"""An interpreter that callers can give a program.

Python, Perl, awk and their like run the text that stands behind an option, or the file that they
are given. A filter for them is a filter for everything.

Instead: install the script as an executable with a fixed interpreter, and allow that.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM102"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("python python2 python3", '-c \'import os; os.execl("/tmp/x", "x")\'', Gain.RUN),
    Way("python python2 python3", "/tmp/x", Gain.RUN),
    Way("perl ruby", "-e 'exec \"/tmp/x\"'", Gain.RUN),
    Way("awk gawk mawk nawk", "'BEGIN{system(\"/tmp/x\")}'", Gain.RUN),
    Way("node nodejs", '-e \'require("child_process").execFileSync("/tmp/x")\'', Gain.RUN),
    Way("php", "-r 'system(\"/tmp/x\");'", Gain.RUN),
    Way("lua", "-e 'os.execute(\"/tmp/x\")'", Gain.RUN),
    Way("expect tclsh", "/tmp/x", Gain.RUN),
    Way("gdb", "-batch -ex '!/tmp/x'", Gain.RUN),
    Way("perl ruby lua php node nodejs", "/tmp/x", Gain.RUN),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\na: CommandFilter, awk, root\n",
        "2:1",
        "a runs any program as root: awk 'BEGIN{system(\"/tmp/x\")}'",
    ),
    Finds(
        "a variable in front",
        "[Filters]\np: EnvFilter, env, root, PATH=, python\n",
        "2:1",
        'p runs any program as root: python -c \'import os; os.execl("/tmp/x", "x")\'',
    ),
    Clean(
        "one fixed script",
        "[Filters]\np: RegExpFilter, python3, root, python3, -I, /usr/lib/x/rotate\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
