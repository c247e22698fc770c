"""An environment as pip leaves it, for helpers that are executed.

The checkout's own has an editable install of us, whose finder every interpreter loads at its start
(9 ms and a megabyte, ours and oslo.privsep's alike), and bytecode of what was installed alone.
"""

import os
import site
import venv
from pathlib import Path
from typing import Final

from tools.modules import PROJECT

_PATHS: Final = "bench.pth"


def make_environment(folder: Path) -> Path:
    """Make a virtual environment with our modules and all that is installed; give its interpreter.

    From now on this process's children keep bytecode, in this folder: the first that loads a
    module writes it.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # what is named in a .pth file is not searched for further .pth files
    (packages / _PATHS).write_text("\n".join((str(PROJECT), *site.getsitepackages())))
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return folder / "bin" / "python"
