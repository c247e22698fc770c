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

_CONTEXT: Final = "--privsep_context other.context --privsep_sock_path /tmp/s"
_WAYS: Final = (_CONTEXT, f"--config-file /tmp/x.conf {_CONTEXT}")


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
    Finds(
        "an open expression",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper ^--privsep_context [^ ]+ .*$\n",
        "1:1",
        "nova can start a daemon of any context as root: sudo /usr/bin/privsep-helper "
        "--privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
    ),
    Clean(
        "an expression for the contexts of one package",
        "nova ALL=(root) NOPASSWD: /usr/bin/privmigrate-helper "
        "^--privsep_context nova\\.privsep\\.[a-z_]+ --privsep_sock_path [a-zA-Z0-9_./-]+$\n",
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
        closed = not any(map(grant.takes, _WAYS))
        words = (grant.arguments or "").split()
        if not grant.is_regex and "--privsep_context" in words:
            context = words[: words.index("--privsep_context") + 2]
            closed = not any("*" in word or "?" in word for word in context)
        if not closed:
            yield Found(
                grant.span,
                f"{grant.who} can start a daemon of any context as root: sudo {grant.command}"
                " --privsep_context os_brick.privileged.default --privsep_sock_path /tmp/s",
                "fix --config-file and --privsep_context in sudoers",
            )
