"""A chain that runs a path which nobody checked.

For ``ip netns exec NAME /tmp/evil/chown``, and behind every ChainingRegExpFilter, oslo.rootwrap
takes the folder off the command's name before it looks for a filter, and then runs the words as
they stand. With one filter for any command of the same user, a program of the caller's own with
that name is run as root.

Instead: strict mode, or a generated entrypoint with a typed prefix: both check what will run.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.regexp import RegExpFilter

CODE: Final = "PM122"
LEVEL: Final = Level.HIGH


_CHAINS: Final = frozenset({"IpNetnsExecFilter", "ChainingRegExpFilter"})

EXAMPLES: Final = (
    Finds(
        "a namespace and any other filter",
        "[Filters]\nn: IpNetnsExecFilter, ip, root\nc: CommandFilter, /bin/chown, root\n",
        "2:1",
        "n runs any program called chown as root, because of c: ip netns exec NAME /tmp/chown",
    ),
    Finds(
        "a prefix and a pattern",
        "[Filters]\n"
        "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+\n"
        "s: RegExpFilter, sleep, root, sleep, \\d+\n",
        "2:1",
        "n runs any program called sleep as root, because of s: nice -n \\d+ /tmp/sleep",
    ),
    Clean(
        "no other filter of the user",
        "[Filters]\nn: IpNetnsExecFilter, ip, root\nc: CommandFilter, chown, nobody\n",
    ),
    Clean(
        "only filters that fix the path",
        "[Filters]\n"
        "n: ChainingRegExpFilter, nice, root, nice\n"
        "s: RegExpFilter, sleep, root, /bin/sleep, \\d+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find chains beside a filter that a path with the right name satisfies."""
    for policy in evidence.policies:
        leaves = [entry for entry in policy.live if entry.rule.filter_class not in _CHAINS]
        for chain in policy.live:
            if chain.rule.filter_class not in _CHAINS or isinstance(chain.bound, Diagnostic):
                continue
            for leaf in leaves:
                name = _base_name(leaf)
                if name and leaf.run_as == chain.run_as:
                    prefix = _prefix(chain)
                    yield Found(
                        chain.span,
                        f"{chain.name} runs any program called {name} as {chain.run_as}, because of"
                        f" {leaf.name}: {prefix} /tmp/{name}",
                        "decide in strict mode, or convert the chain to a typed prefix",
                    )
                    break


def _base_name(leaf: Entry) -> str:
    """The name that oslo.rootwrap lets through behind a chain, if it looks at nothing else."""
    bound = leaf.bound
    if isinstance(bound, RegExpFilter):
        pattern = bound.matchers[0].pattern if bound.matchers else "/"
        return "" if "/" in pattern or not pattern.isidentifier() else pattern
    if isinstance(bound, Diagnostic) or leaf.rule.filter_class not in {
        "CommandFilter",
        "PathFilter",
    }:
        return ""
    return bound.exec_path.rpartition("/")[2]


def _prefix(chain: Entry) -> str:
    if chain.rule.filter_class == "IpNetnsExecFilter":
        return "ip netns exec NAME"
    return " ".join(chain.rule.texts[2:])
