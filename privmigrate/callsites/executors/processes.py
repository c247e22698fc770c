"""neutron's ``create_process``: the caller gets the process while it runs."""

from typing import ClassVar

from privmigrate.callsites.executors.base import Callee, Executor, named
from privmigrate.callsites.site import Convention, Reason
from privmigrate.examples import Ignored, Yields


class Processes(Executor):
    """``linux_utils.create_process(['conntrackd', '-C', path], run_as_root=True)``."""

    NAMES: ClassVar = ("*.agent.linux.utils.create_process", "*.agent.common.utils.create_process")
    CONVENTION = Convention.LIST
    DOUBTS = (Reason.PROCESS,)
    EXAMPLES = (
        Yields(
            "a list",
            """\
            from neutron.agent.linux import utils

            def watch(interface):
                process, cmd = utils.create_process(
                    ['tcpdump', '-i', interface], run_as_root=True)
            """,
            ("tcpdump -i {interface}",),
        ),
        Ignored(
            "as the service itself",
            """\
            from neutron.agent.linux import utils

            process, cmd = utils.create_process(['ps', 'ax'])
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by what the name leads to."""
        return named(callee.target, self.NAMES)
