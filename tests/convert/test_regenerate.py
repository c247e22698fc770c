"""Converting again: what a person changed survives, and what rules changed arrives."""

from pathlib import Path

import pytest
from libcst import ParserSyntaxError

from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.lock import NAME, read_disk, write
from privmigrate.convert.merge import Choices
from privmigrate.convert.render import ModuleText, Piece, assemble, take_apart
from privmigrate.errors import InputError
from tests.convert.packages import EXEC_DIRS, rules_of

PING = r"ping: RegExpFilter, ping, root, ping, -c, \d+, [0-9\.]+"
FIND = r"find_inum: RegExpFilter, find, root, find, /[^/]*, -inum, \d+"
BOTH = f"{PING}\n{FIND}"


class Place:
    """A folder with a package, converted into again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "privileged"

    def convert(
        self, *texts: str, keep: str = "", replace: str = "", single: bool = False
    ) -> Conversion:
        rules = [
            rule
            for number, text in enumerate(texts)
            for rule in rules_of(text, f"{chr(ord('a') + number)}.filters")
        ]
        choices = Choices(frozenset(keep.split()), frozenset(replace.split()))
        options = Options(exec_dirs=EXEC_DIRS, choices=choices, single_context=single)
        disk = read_disk(self.folder, "privileged")
        result = convert(rules, options, disk)
        changed = {
            name: text for name, text in result.texts.items() if disk.texts.get(name) != text
        }
        if changed:
            write(self.folder, changed, disk.texts)
        return result

    def read(self, name: str = "a.py") -> str:
        return (self.folder / name).read_text()

    def edit(self, old: str, new: str, name: str = "a.py") -> None:
        text = self.read(name)
        assert old in text
        (self.folder / name).write_text(text.replace(old, new, 1))

    def names(self, name: str = "a.py") -> list[str]:
        return [piece.name for piece in take_apart(self.read(name), name).pieces]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def said(conversion: Conversion) -> list[str]:
    return [f"{note.place} {note.message}" for note in conversion.notes]


def test_converting_again_changes_nothing(place: Place) -> None:
    first = place.convert(BOTH)
    again = place.convert(BOTH)
    assert first.texts == again.texts
    assert again.notes == ()


def test_a_changed_rule_replaces_what_nobody_touched(place: Place) -> None:
    place.convert(BOTH)
    result = place.convert(BOTH.replace("-inum", "-samefile"))
    assert result.notes == ()
    assert '"-samefile"' in place.read()
    assert '"-inum"' not in place.read()
    assert place.names() == ["FIND", "PING", "ping", "find_inum"]


def test_lines_above_a_rule_change_nothing_but_the_mark(place: Place) -> None:
    place.convert(BOTH)
    place.edit("    return run(PING", "    # mine\n    return run(PING")
    result = place.convert(f"# one\n# two\n{BOTH}")
    assert said(result) == ["a.ping was edited by hand and is kept"]
    assert not any(note.conflict for note in result.notes)
    assert "a.filters:4 ping" in place.read()
    assert "    # mine\n    return run(PING" in place.read()


def test_an_edit_is_kept_as_long_as_its_rule_stays(place: Place) -> None:
    place.convert(BOTH)
    place.edit('"""Run ``ping', '"""Ask somebody with ``ping')
    for _ in range(2):
        result = place.convert(BOTH)
        assert said(result) == ["a.ping was edited by hand and is kept"]
        assert "Ask somebody" in place.read()


def test_an_edit_of_a_rule_that_changed_is_a_conflict_until_somebody_decides(place: Place) -> None:
    place.convert(BOTH)
    place.edit('"-c"', '"-q", "-c"')
    changed = BOTH.replace("-c,", "-n, -c,")
    for _ in range(2):
        (note,) = place.convert(changed).notes
        assert note.conflict
        assert '"-q", "-c"' in note.mine
        assert '"-n", "-c"' in note.generated
        assert '"-q", "-c"' in place.read()


def test_keep_settles_a_conflict(place: Place) -> None:
    place.convert(BOTH)
    place.edit('"-c"', '"-q", "-c"')
    changed = BOTH.replace("-c,", "-n, -c,")
    place.convert(changed, keep="a.ping")
    result = place.convert(changed)
    assert not any(note.conflict for note in result.notes)
    assert '"-q", "-c"' in place.read()


def test_replace_settles_a_conflict(place: Place) -> None:
    place.convert(BOTH)
    place.edit('"-c"', '"-q", "-c"')
    changed = BOTH.replace("-c,", "-n, -c,")
    assert place.convert(changed, replace="a.ping").notes == ()
    assert '"-q"' not in place.read()
    assert place.convert(changed).notes == ()


def test_an_edit_that_is_what_would_be_written_is_none(place: Place) -> None:
    place.convert(BOTH)
    before = place.read()
    place.convert(BOTH.replace("-inum", "-samefile"))
    # as an interrupted run, or a checkout of one file, would leave it
    (place.folder / "a.py").write_text(before)
    assert place.convert(BOTH).notes == ()


def test_a_deleted_function_stays_deleted(place: Place) -> None:
    place.convert(BOTH)
    text = place.read()
    begin = text.index("\n\n# privmigrate:", text.index("def ping"))
    (place.folder / "a.py").write_text(text[:begin].rstrip() + "\n")
    first = place.convert(BOTH)
    assert said(first) == ["a.find_inum was deleted by hand and stays deleted"]
    assert place.convert(BOTH).notes == ()
    place.convert(BOTH.replace("-inum", "-samefile"))
    assert place.names() == ["PING", "ping"]
    place.convert(BOTH, replace="a.find_inum")
    assert place.names() == ["FIND", "PING", "ping", "find_inum"]


def test_a_function_without_a_rule_is_kept_and_marked(place: Place) -> None:
    place.convert(BOTH)
    result = place.convert(PING)
    assert said(result) == ["a.find_inum is kept, though no rule asks for it any more"]
    text = place.read()
    assert "orphan: no rule asks for it any more\n@files_context" in text
    assert "FIND = Executable" in text
    assert "files_context = " in place.read("__init__.py")
    again = place.convert(PING)
    assert again.notes == ()
    assert again.texts == result.texts
    place.convert(BOTH)
    assert "orphan" not in place.read()


def test_an_orphan_that_is_deleted_is_forgotten(place: Place) -> None:
    place.convert(BOTH)
    place.convert(PING)
    text = place.read()
    begin = text.index("\n\n# privmigrate:", text.index("def ping"))
    (place.folder / "a.py").write_text(text[:begin].rstrip() + "\n")
    result = place.convert(PING)
    assert result.notes == ()
    assert "find_inum" not in place.read(NAME)
    assert place.names() == ["PING", "ping"]


def test_a_file_without_rules_keeps_its_functions(place: Place) -> None:
    place.convert(PING, FIND)
    before = place.read("b.py")
    place.convert(PING)
    assert place.names("b.py") == ["FIND", "find_inum"]
    # and everything that these need
    lines = [line for line in before.splitlines() if "import" in line]
    assert [line for line in place.read("b.py").splitlines() if "import" in line] == lines


def test_a_module_that_was_removed_is_written_again(place: Place) -> None:
    place.convert(BOTH)
    (place.folder / "a.py").unlink()
    assert place.convert(BOTH).notes == ()
    assert place.names() == ["FIND", "PING", "ping", "find_inum"]


MINE = '''

def mine() -> str:
    """A person wrote this."""
    return os.sep + str(Digits)
'''


def test_what_a_person_added_stays_where_it_is(place: Place) -> None:
    place.convert(BOTH)
    place.edit("from typing import Annotated", "import os\nfrom typing import Annotated")
    place.edit("\n\n\n# privmigrate:", "\n\nLIMIT = 3\n\n\n# privmigrate:")
    text = place.read()
    end = text.index("\n\n\n# privmigrate:", text.index("def ping"))
    (place.folder / "a.py").write_text(
        text[:end] + "\n" + MINE.rstrip() + text[end:] + "\n\n# the end\n"
    )
    before = place.read()
    assert place.convert(BOTH).notes == ()
    assert place.read() == before
    place.convert(BOTH.replace("-inum", "-samefile"))
    assert place.names() == ["FIND", "PING", "LIMIT", "ping", "mine", "find_inum"]
    assert "import os\n" in place.read()
    assert place.read().endswith("# the end\n")


def test_a_copy_with_the_mark_is_a_persons_own(place: Place) -> None:
    place.convert(PING)
    text = place.read()
    copy = text[text.index("# privmigrate:") :].replace("def ping", "def ping_twice")
    (place.folder / "a.py").write_text(f"{text}\n\n{copy}")
    place.convert(PING)
    assert place.names() == ["PING", "ping", "ping_twice"]
    assert place.read().count("# privmigrate:") == 1


def test_an_edited_context_is_kept(place: Place) -> None:
    place.convert(BOTH)
    place.edit("capabilities.CAP_NET_RAW", "capabilities.CAP_NET_ADMIN", "__init__.py")
    result = place.convert(BOTH)
    assert "CAP_NET_ADMIN" in place.read("__init__.py")
    assert [note.conflict for note in result.notes] == [False]


def test_an_edited_docstring_is_kept(place: Place) -> None:
    place.convert(BOTH)
    place.edit('"""Commands that a.filters allowed."""', '"""Ours."""')
    place.convert(BOTH.replace("-inum", "-samefile"))
    assert place.read().startswith('"""Ours."""\n')


def test_names_do_not_flip_when_another_rule_would_take_them(place: Place) -> None:
    place.convert("ping2: RegExpFilter, ping, root, ping, -b")
    assert place.names() == ["PING", "ping"]
    place.convert(
        "ping1: RegExpFilter, ping, root, ping, -a\nping2: RegExpFilter, ping, root, ping, -b"
    )
    (first, second) = [p for p in take_apart(place.read(), "a").pieces if p.name != "PING"]
    assert (second.name, '"-b"' in second.text) == ("ping", True)
    assert first.name != "ping"


def test_a_name_that_was_given_once_is_not_given_to_another(place: Place) -> None:
    place.convert("ping2: RegExpFilter, ping, root, ping, -b")
    place.convert("ping9: RegExpFilter, ping, root, ping, -a")
    assert place.names() == ["PING", "ping9", "ping"]


def test_a_function_that_another_file_also_asks_for_stays_in_its_module(place: Place) -> None:
    place.convert(PING)
    place.convert(PING, PING)
    assert "ping" in place.names()
    assert not (place.folder / "common.py").exists()


def test_a_broken_module_is_said_with_its_line(place: Place) -> None:
    place.convert(BOTH)
    place.edit("def ping(", "def ping(((")
    before = place.read()
    with pytest.raises(InputError, match=r"privileged/a\.py:\d+:\d+: error: is no Python"):
        place.convert(BOTH)
    assert place.read() == before


def test_line_ends_of_another_system_are_no_edit(place: Place) -> None:
    place.convert(BOTH)
    path = place.folder / "a.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert place.convert(BOTH).notes == ()


def test_only_python_is_put_together() -> None:
    """Of any version: what a person keeps may be newer than the Python that converts."""

    def of(text: str) -> ModuleText:
        return ModuleText("", (), (Piece("", "", "", text),))

    for text in ("x = '\\d'", "type Size = int", "def f() -> None: ..."):
        assert assemble(of(text), "privileged") == f"{text}\n"
    with pytest.raises(ParserSyntaxError):
        assemble(of("def f(:"), "privileged")
