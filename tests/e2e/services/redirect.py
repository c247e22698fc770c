"""Make ``import oslo_privsep`` give privmigrate.privsep: the whole migration of existing code.

Installed with a .pth file into the environment where services run on our runtime.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

THEIRS = "oslo_privsep"
OURS = "privmigrate.privsep"


class Redirect:
    """Finds modules of oslo.privsep among ours."""

    @staticmethod
    def find_spec(
        name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for oslo_privsep and what is below it."""
        if name == THEIRS or name.startswith(THEIRS + "."):
            return importlib.machinery.ModuleSpec(name, Same())
        return None


class Same(importlib.abc.Loader):
    """Gives the very module, not a copy of it."""

    def __init__(self) -> None:
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Import ours."""
        module = importlib.import_module(OURS + spec.name.removeprefix(THEIRS))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system noted on our module; it was executed before."""
        module.__spec__ = self._spec


sys.meta_path.insert(0, Redirect())
