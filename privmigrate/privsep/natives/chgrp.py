"""``chgrp GROUP FILE...``: change the group of files, or of a tree."""

from typing import ClassVar

from privmigrate.examples import Kept, Same
from privmigrate.privsep.natives.chown import Chown


class Chgrp(Chown):
    """Change the group, by name or number, as `chown` does."""

    __slots__ = ()

    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("by number", ": > f", ("chgrp", "1234", "f")),
        Same("by name", ": > f", ("chgrp", "daemon", "f")),
        Same("through a link", ": > f; ln -s f l", ("chgrp", "1234", "l")),
        Same("a tree", "mkdir d e; : > e/f; ln -s ../e d/l", ("chgrp", "-R", "1234", "d")),
        Same("no such file", "", ("chgrp", "0", "nowhere")),
        Same("a link to nowhere", "ln -s nowhere l", ("chgrp", "0", "l")),
        Kept("no group", ("chgrp", "", "f"), "nobody means this"),
        Kept("like another file", ("chgrp", "--reference=f", "g"), "two files"),
        Kept("an owner", ("chgrp", "root:root", "f"), "the tool says what is wrong"),
        Kept("what was changed", ("chgrp", "-c", "0", "f"), "prints"),
    )
    TOOL: ClassVar[str] = "chgrp"

    @classmethod
    def owner(cls, text: str) -> tuple[str, str | None] | None:
        """No user, and the group that the first operand is."""
        return ("", text) if text and not set(text) & set(".+:") else None
