"""A star in sudoers that takes more than was meant.

``*`` in arguments matches any text, spaces included: behind ``--privsep_sock_path *`` the caller
may append ``--privsep_context other``, and the last one counts.

Instead: a regular expression (sudo 1.9.10: ``^--privsep_sock_path /tmp/[^ ]+$``), or a fixed line
for a helper that reads its own profile.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.gather import is_helper
from privmigrate.examples import Clean, Finds

CODE: Final = "PM503"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "behind the context",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --config-file "
        "/etc/nova/nova.conf --privsep_context vif_plug.priv.vif --privsep_sock_path *\n",
        "1:1",
        "nova can append another --privsep_context, which counts instead of vif_plug.priv.vif",
    ),
    Clean(
        "nothing open",
        "nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --privsep_context x.y "
        "--privsep_sock_path /run/x.sock\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find helpers with an open word behind a fixed context."""
    for grant in evidence.grants:
        words = (grant.arguments or "").split()
        if not is_helper(grant) or grant.negated or "--privsep_context" not in words:
            continue
        place = words.index("--privsep_context") + 2
        if any("*" in word for word in words[place:]) and "*" not in " ".join(words[:place]):
            yield Found(
                grant.span,
                f"{grant.who} can append another --privsep_context, which counts instead of"
                f" {words[place - 1]}",
                "use a regular expression in sudoers that takes no spaces",
            )
