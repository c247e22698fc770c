"""neutron's ``linux_utils.execute``, which takes the command line as a list."""

from typing import ClassVar

from privmigrate.callsites.executors.base import Callee, Executor, named
from privmigrate.callsites.site import Convention
from privmigrate.examples import Ignored, Yields


class Lists(Executor):
    """``linux_utils.execute(['sysctl', '-b', key], run_as_root=True)``, which gives a string."""

    NAMES: ClassVar = (
        "neutron*.agent.linux.utils.execute",
        "neutron*.agent.common.utils.execute",
        "*.agent.linux.utils.execute",
    )
    CONVENTION = Convention.LIST
    EXAMPLES = (
        Yields(
            "a list in a variable",
            """\
            from neutron.agent.linux import utils as linux_utils

            def show(name, verbose):
                cmd = ['ipset', 'list']
                if verbose:
                    cmd.append('-v')
                cmd += [name]
                return linux_utils.execute(cmd, run_as_root=True, privsep_exec=True)
            """,
            ("ipset list [-v] {name}",),
        ),
        Ignored(
            "as the service itself",
            """\
            from neutron.agent.linux import utils

            utils.execute(['ls'], run_as_root=False)
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by what the name leads to."""
        return named(callee.target, self.NAMES)
