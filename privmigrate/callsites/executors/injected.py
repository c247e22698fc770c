"""Executors that are passed in: ``self._execute``, ``execute=``, and what only looks like one."""

import re
from typing import Final

from privmigrate.callsites.executors.base import Callee, Executor
from privmigrate.examples import Ignored, Yields

LIKE_EXECUTE: Final = re.compile(r"_*(?:\w+_)?(?:exec|execute|executor|trycmd)(?:_\w+)?\Z")


class Injected(Executor):
    """``self._execute(*words, run_as_root=True)``, whatever `_execute` was set to."""

    EXAMPLES = (
        Yields(
            "an attribute that a constructor sets",
            """\
            class Driver:
                def __init__(self, execute):
                    self._execute = execute

                def grow(self, path, size):
                    self._execute('truncate', '-s', '%sG' % size, path, run_as_root=True)
            """,
            ("truncate -s {size}G {path}",),
        ),
        Yields(
            "a parameter",
            """\
            def clear(path, execute):
                execute('shred', path, run_as_root=True)
            """,
            ("shred {path}",),
        ),
        Ignored(
            "a function that takes run_as_root for another reason",
            """\
            def info(image):
                return image.inspect('-v', run_as_root=True)
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by its name, where the call says that it runs as root, or passes words on."""
        if callee.target or not (callee.rooted or callee.forwards):
            return False
        return LIKE_EXECUTE.match(callee.name) is not None
