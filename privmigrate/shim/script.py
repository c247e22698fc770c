"""Renders the client as one executable file, which is all that a service calls.

Compiling the client's source takes 5 ms, nearly as long as an interpreter needs to start, so the
file carries the code in a comment, without line numbers, and the source in comments below it: to
be read by people, and compiled where another release of the interpreter finds the file.
"""

import base64
import marshal
import sys
from collections.abc import Sequence
from types import CodeType
from typing import Final

from privmigrate.shim import client

_SOURCE_MARK: Final = "# The source:\n"
_HEAD: Final = """\
#!{interpreter} -IS
# {notice}
import marshal, posix, sys
from binascii import a2b_base64
fd = posix.open(__file__, posix.O_RDONLY | posix.O_CLOEXEC)
if sys.hexversion == {hexversion}:
    code = marshal.loads(a2b_base64(posix.pread(fd, {size}, {offset})))
else:
    text = posix.pread(fd, 1 << 20, {offset} + {size}).decode().partition({mark!r})[2]
    code = compile("\\n".join(line[2:] for line in text.split("\\n")), __file__, "exec")
posix.close(fd)
exec(code)
main({slow!r})
# """


def render_client(interpreter: str, slow: Sequence[str], notice: str) -> str:
    """The text of the file; `slow` is what it executes where its index cannot answer."""
    with open(client.__file__, encoding="utf-8") as file:  # noqa: PTH123 - as elsewhere here
        source = file.read()
    if " " in interpreter or not interpreter.startswith("/"):
        raise ValueError(f"{interpreter!r} cannot stand in the first line of a script")
    compiled = compile(source, "<privmigrate shim client>", "exec", dont_inherit=True, optimize=2)
    code = base64.b64encode(marshal.dumps(_without_lines(compiled))).decode("ascii")
    offset = 0
    while True:  # the offset is part of the head that it counts
        head = _HEAD.format(
            interpreter=interpreter,
            notice=notice,
            hexversion=sys.hexversion,
            size=len(code),
            offset=offset,
            mark=_SOURCE_MARK,
            slow=list(slow),
        )
        if len(head.encode()) == offset:
            break
        offset = len(head.encode())
    comments = "".join(f"# {line}\n" for line in source.splitlines())
    return f"{head}{code}\n{_SOURCE_MARK}{comments}"


def _without_lines(code: CodeType) -> CodeType:
    constants = tuple(
        _without_lines(constant) if isinstance(constant, CodeType) else constant
        for constant in code.co_consts
    )
    return code.replace(co_linetable=b"", co_consts=constants)


def render_daemon(python: str, accepted: Sequence[str]) -> str:
    """The text of SERVICE-rootwrap-daemon, which may take its time to start."""
    return (
        f"#!{python} -I\n"
        "import sys\n\n"
        "from privmigrate.shim.rootwrap_daemon_main import main\n\n"
        f"sys.argv[1:1] = [*{list(accepted)!r}, '--as', sys.argv[0]]\n"
        "sys.exit(main())\n"
    )
