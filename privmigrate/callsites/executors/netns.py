"""neutron's ``ip_wrapper.netns.execute``: a list, as root, in a network namespace."""

from privmigrate.callsites.executors.base import Callee, Executor
from privmigrate.callsites.site import Convention
from privmigrate.examples import Ignored, Yields


class Netns(Executor):
    """``ip_lib.IPWrapper(namespace=name).netns.execute(['sysctl', ...])``."""

    SEEDS = (b"netns.execute",)
    CONVENTION = Convention.LIST
    ALWAYS_ROOT = True
    IN_NAMESPACE = True
    EXAMPLES = (
        Yields(
            "the namespace is the wrapper's",
            """\
            from neutron.agent.linux import ip_lib

            def flush(name, device):
                ip_wrapper = ip_lib.IPWrapper(namespace=name)
                ip_wrapper.netns.execute(['ip', 'addr', 'flush', 'dev', device])
            """,
            ("(netns {name}) ip addr flush dev {device}",),
        ),
        Ignored(
            "other methods of a namespace",
            """\
            from neutron.agent.linux import ip_lib

            ip_lib.IPWrapper(namespace='x').netns.exists('y')
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by how it is written: every one of neutron's is written so."""
        return callee.text.endswith(".netns.execute")
