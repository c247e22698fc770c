"""oslo.concurrency's ``processutils``, under each of the names that it has had."""

from typing import ClassVar

from privmigrate.callsites.executors.base import Callee, Executor, named
from privmigrate.examples import Ignored, Yields


class Processutils(Executor):
    """``processutils.execute(*words, run_as_root=True)`` and ``trycmd``."""

    NAMES: ClassVar = (
        "oslo_concurrency.processutils.execute",
        "oslo_concurrency.processutils.trycmd",
        "oslo.concurrency.processutils.execute",
        "oslo.concurrency.processutils.trycmd",
        "*.openstack.common.processutils.execute",
        "*.openstack.common.processutils.trycmd",
    )
    EXAMPLES = (
        Yields(
            "words as arguments",
            """\
            from oslo_concurrency import processutils

            def remove(path):
                processutils.execute('rm', '-f', path, run_as_root=True, check_exit_code=[0, 1])
            """,
            ("rm -f {path}",),
        ),
        Yields(
            "imported under another name",
            """\
            from oslo_concurrency import processutils as putils

            def tell(port):
                out, err = putils.trycmd('ss', '-l', 'sport = :%d' % port, run_as_root=True)
            """,
            ("ss -l 'sport = :{port}'",),
        ),
        Ignored(
            "as the service itself",
            """\
            from oslo_concurrency import processutils

            processutils.execute('ls', '/')
            processutils.execute('ls', '/', run_as_root=False)
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by what the name leads to."""
        return named(callee.target, self.NAMES)
