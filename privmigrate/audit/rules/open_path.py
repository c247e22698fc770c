"""An entrypoint that takes a path and does not hold it anywhere.

A path of the caller's, opened, removed or given away by root: ``../../etc/shadow``, or a link.

Instead: in generated code ``Annotated[str, PathWithin(folder)]`` and natives, which open below the
folder and follow no link; elsewhere a name, which the entrypoint puts behind its folder after
looking at it.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.annotations import read_slot
from privmigrate.audit.evidence import Evidence, names_in
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM604"
LEVEL: Final = Level.HIGH


_OPERATIONS: Final = frozenset(
    {
        "open", "io.open", "os.open", "os.chown", "os.lchown", "os.chmod", "os.unlink", "os.remove",
        "os.rename", "os.replace", "os.link", "os.symlink", "os.mkdir", "os.makedirs", "os.rmdir",
        "os.utime", "os.truncate", "os.listdir", "os.walk", "os.readlink", "shutil.rmtree",
        "shutil.copy", "shutil.copyfile", "shutil.move", "shutil.chown", "fileutils.ensure_tree",
        "fileutils.delete_if_exists",
    }
)  # fmt: skip

EXAMPLES: Final = (
    Finds(
        "read",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(path):\n"
        "    with open(path) as file:\n"
        "        return file.read()\n",
        "5:10",
        "f does open(path) on any path that callers pass",
    ),
    Finds(
        "give away",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f(path, uid):\n"
        "    os.chown(path, uid, -1)\n",
        "6:5",
        "f does os.chown(path) on any path that callers pass",
    ),
    Finds(
        "a name behind a folder",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    os.unlink(os.path.join('/var/lib/x', name))\n",
        "6:5",
        "f does os.unlink(name) on any path that callers pass",
    ),
    Clean(
        "a constant",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    return open('/proc/mdstat').read()\n",
    ),
    Clean(
        "held by its type",
        "from privmigrate.privsep import command\n"
        "from privmigrate.privsep.types import PathWithin\n"
        "from typing import Annotated\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def f(path: Annotated[str, PathWithin('/var/lib/x')]):\n"
        "    os.unlink(path)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find operations on files whose path callers choose freely."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            open_names = {
                p.arg
                for p in entrypoint.parameters
                if read_slot(p.annotation).accepts("/etc/shadow")
            }
            derived = entrypoint.tainted - {p.arg for p in entrypoint.parameters}
            for call in entrypoint.calls():
                name = dotted(call.func)
                if name not in _OPERATIONS or not call.args:
                    continue
                mentioned = names_in(call.args[0]) & (open_names | derived)
                if mentioned:
                    yield Found(
                        span_of(module.path, call),
                        f"{entrypoint.name} does {name}({', '.join(sorted(mentioned))}) on any path"
                        " that callers pass",
                        "hold the path below a folder when it is opened",
                    )
