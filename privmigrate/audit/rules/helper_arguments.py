"""A privsep helper whose context the caller chooses.

``privsep-helper *`` lets the caller name any context that can be imported and any configuration:
with os-brick installed, ``--privsep_context os_brick.privileged.default`` gives a daemon that
runs any command. Packages of Debian and RDO have such lines.

Instead: fix --config-file and --privsep_context; only the socket's path may be open.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.gather import is_helper
from privmigrate.examples import Clean, Finds

CODE: Final = "PM502"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "a star",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper *\n",
        "1:1",
        "nova can start a daemon of any context as root: sudo /usr/bin/privsep-helper "
        "--privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
    ),
    Finds(
        "no arguments",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper\n",
        "1:1",
        "nova can start a daemon of any context as root: sudo /usr/bin/privsep-helper "
        "--privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
    ),
    Finds(
        "a star in front of the context",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --config-file * "
        "--privsep_context x.y --privsep_sock_path *\n",
        "1:1",
        "nova can start a daemon of any context as root: sudo /usr/bin/privsep-helper "
        "--privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
    ),
    Clean(
        "a fixed context",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --config-file "
        "/etc/nova/nova.conf --privsep_context vif_plug.priv.vif --privsep_sock_path "
        "/tmp/x/privsep.sock\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find helpers with an open word in front of, or as, the context."""
    for grant in evidence.grants:
        if not is_helper(grant) or grant.negated:
            continue
        words = (grant.arguments or "").split()
        closed = grant.arguments == "" or "--privsep_context" in words
        if closed and "--privsep_context" in words:
            context = words[: words.index("--privsep_context") + 2]
            closed = not any("*" in word or "?" in word for word in context)
        if not closed:
            yield Found(
                grant.span,
                f"{grant.who} can start a daemon of any context as root: sudo {grant.command}"
                " --privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
                "fix --config-file and --privsep_context in sudoers",
            )
