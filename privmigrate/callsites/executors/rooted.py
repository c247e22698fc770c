"""Functions that always run as root, whatever they are told."""

from typing import ClassVar

from privmigrate.callsites.executors.base import Callee, Executor, named
from privmigrate.examples import Ignored, Yields


class Rooted(Executor):
    """os-brick's ``execute_root(*words)``; others are named in ``[tool.privmigrate]``."""

    NAMES: ClassVar = ("os_brick.privileged.rootwrap.execute_root",)
    SEEDS = (b"execute_root",)
    ALWAYS_ROOT = True
    EXAMPLES = (
        Yields(
            "without a keyword",
            """\
            from os_brick.privileged import rootwrap

            rootwrap.execute_root('udevadm', 'settle')
            """,
            ("udevadm settle",),
        ),
        Ignored(
            "another one of that name",
            """\
            from elsewhere import rootwrap

            rootwrap.execute_root('udevadm', 'settle')
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by what the name leads to."""
        return named(callee.target, self.NAMES)
