"""A configuration of the privsep helper that others than root can change.

oslo.privsep's helper takes user, group and capabilities of its daemon from the service's own
configuration files: whoever may write them removes every restriction.

Instead: privmigrate-helper, which reads profiles that root controls; or root:SERVICE 0640.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM418"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the service's own file",
        "-r--r----- root root /etc/sudoers\n"
        "    nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --config-file "
        "/etc/nova/nova.conf --privsep_context vif_plug.priv.vif --privsep_sock_path *\n"
        "-rw-r----- nova nova /etc/nova/nova.conf\n",
        "/etc/nova/nova.conf",
        "belongs to nova: it names the helper's user and context",
    ),
    Clean(
        "of root",
        "-r--r----- root root /etc/sudoers\n"
        "    nova ALL=(root) NOPASSWD: /usr/bin/privsep-helper --config-file "
        "/etc/nova/nova.conf --privsep_context vif_plug.priv.vif --privsep_sock_path *\n"
        "-rw-r----- root nova /etc/nova/nova.conf\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.SERVICE_CONFIG)
