"""What a client may send is exactly what the annotation says."""

import collections
import enum
import os
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pytest

from privmigrate.argv.check import accepts, compile_annotation, describe, why_not
from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Data,
    Int,
    Key,
    Matches,
    Never,
    PathWithin,
)
from privmigrate.errors import Refused


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "/etc/shadow"

    def startswith(self, *_: object) -> bool:
        return True


class Number(enum.IntEnum):
    FOUR = 4


class Netns(NamedTuple):
    name: Annotated[str, Matches(r"[a-z0-9-]+")]
    prefix: Literal["Netns"] = "Netns"


class Ionice(NamedTuple):
    level: Literal[0, 1, 2]
    prefix: Literal["Ionice"] = "Ionice"


Digits = Annotated[int | str, Int()]

ACCEPTED: list[tuple[object, object, object]] = [
    (str, "a b", "a b"),
    (str, "", ""),
    (str, Shouting("x"), "x"),
    (str, "f\udcff", "f\udcff"),
    (int, 3, 3),
    (int, Number.FOUR, 4),
    (bool, True, True),
    (float, 2, 2.0),
    (bytes, b"\0", b"\0"),
    (None, None, None),
    (str | None, None, None),
    (str | int, 4, 4),
    (Literal["HUP", "KILL"], "HUP", "HUP"),
    (Literal["HUP"], Shouting("HUP"), "HUP"),
    (Literal[1], 1, 1),
    (Digits, 4, "4"),
    (Digits, Number.FOUR, "4"),
    (Digits, "007", "007"),
    (Digits, 2**64 - 1, str(2**64 - 1)),
    (Annotated[int | str, Int(prefix="count=")], 4, "4"),
    (Annotated[str, Key("if=", Matches(r"\S+"))], "/dev/zero", "/dev/zero"),
    (Annotated[str | None, Any(operand=True)], None, None),
    (Annotated[str, "a remark"], "x", "x"),
    (Annotated[str | bytes | None, Data()], "a\0b", "a\0b"),
    (Annotated[str | bytes | None, Data()], b"a\0b", b"a\0b"),
    (tuple[str, ...], ["a", "b"], ("a", "b")),
    (Sequence[str], (), ()),
    (list[int], (1, 2), [1, 2]),
    (tuple[str, int], ["a", 1], ("a", 1)),
    (tuple[()], [], ()),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (Mapping[str, str], {}, {}),
    (Netns, ["qrouter-1", "Netns"], Netns("qrouter-1")),
    (Netns | Ionice | None, (2, "Ionice"), Ionice(2)),
    (Netns | Ionice | None, None, None),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), ACCEPTED)
def test_accepted(annotation: object, value: object, expected: object) -> None:
    result = compile_annotation(annotation)(value)
    assert result == expected
    assert type(result) is type(expected)


REFUSED: list[tuple[object, object, str]] = [
    (str, 1, "is not text"),
    (str, b"a", "is not text"),
    (str, "a\0b", "contains NUL"),
    (str, "\ud800", "contains characters that no file name can have"),
    (int, True, "is not an integer"),
    (int, "1", "is not an integer"),
    (int, 2**64, "is an integer of more than 64 bits"),
    (int, -(2**63) - 1, "is an integer of more than 64 bits"),
    (bool, 1, "is not true or false"),
    (float, "1", "is not a number"),
    (float, True, "is not a number"),
    (bytes, "a", "is not bytes"),
    (None, 0, "is not None"),
    (str | None, 0, "is not text"),
    (str | int, None, "is not text; or is not an integer"),
    (Literal["HUP", "KILL"], "TERM", "is not one of 'HUP', 'KILL'"),
    (Literal["HUP"], ["HUP"], "is not one of 'HUP'"),
    (Literal[1], True, "is not one of 1"),
    (Literal[True], 1, "is not one of True"),
    (Digits, True, "is not text or an integer"),
    (Digits, -1, "is not digits"),
    (Digits, 2**64, "is an integer of more than 64 bits"),
    (Digits, "\u0665", "is not digits"),
    (Digits, "5\n", "is not digits"),
    (Annotated[str, Int()], 5, "is not text"),
    (Annotated[int, Int(maximum=7)], "5", "is not an integer"),
    (Annotated[int, Int(maximum=7)], 8, "is not digits, at most 7"),
    (Annotated[int | str, Any(operand=True)], -1, "begins with -, as an option does"),
    (Annotated[str | None, Any(operand=True)], "-x", "begins with -, as an option does"),
    (Annotated[str, Any(), Matches("a+")], "b", "does not match a+"),
    (Annotated[str, Never("it is broken")], "b", "is never accepted: it is broken"),
    (Annotated[str | None, Data()], b"a", "is not bytes or text"),
    (Annotated[str | None, Data()], "\ud800", "has characters that are none of UTF-8"),
    (Annotated[bytes, Data()], None, "is not bytes or text"),
    (tuple[str, ...], "ab", "is not a sequence"),
    (tuple[str, ...], ["a", 1], "has an item that is refused: number 2 is not text"),
    (tuple[str, int], ["a"], "has 1 items instead of 2"),
    (dict[str, int], [], "is not a dictionary"),
    (dict[str, int], {1: 1}, "is not text"),
    (dict[str, int], {"a": "b"}, "has an item that is refused: a value is not an integer"),
    (Netns, ["../x", "Netns"], "has an item that is refused: name does not match [a-z0-9-]+"),
    (Netns, ["x"], "is not Netns"),
    (Netns | Ionice, ["x", "Other"], ""),
    (Netns, "xy", "is not a sequence"),
]


@pytest.mark.parametrize(("annotation", "value", "why"), REFUSED)
def test_refused(annotation: object, value: object, why: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_annotation(annotation)(value)
    if why:
        assert str(caught.value) == why


@pytest.mark.parametrize(
    "annotation",
    [
        object,
        typing.Any,
        tuple,
        list,
        set[str],
        dict[int, str],
        collections.namedtuple("Bare", "a"),  # noqa: PYI024 - without annotations on purpose
        Annotated[bytes, Int()],
        Annotated[tuple[str, ...], Any()],
        Annotated[int, Data()],
        Literal[Number.FOUR],
        Path,
        "str",
    ],
)
def test_what_cannot_be_checked_completely_is_refused_at_compilation(annotation: object) -> None:
    with pytest.raises(TypeError):
        compile_annotation(annotation)


if sys.version_info >= (3, 12):

    def test_type_aliases_are_followed() -> None:
        assert compile_annotation(typing.TypeAliasType("Alias", str | None))(None) is None


# specification, accepted words, refused words with the reason
WORDS: list[tuple[ArgSpec, list[str], dict[str, str]]] = [
    (Const("-x"), ["-x"], {"": "is not '-x'", "-x\n": "is not '-x'"}),
    (Const("a\0"), [], {"a\0": "is not 'a\\x00'"}),
    (Choice(("a", "b")), ["a", "b"], {"c": "is not one of 'a', 'b'"}),
    (
        Int(minimum=1, maximum=64, prefix="count=", suffix="M"),
        ["count=1M", "count=0064M"],
        {
            "count=0M": "is not digits, at least 1, at most 64",
            "count=65M": "is not digits, at least 1, at most 64",
            "count=" + "9" * 5000 + "M": "is not digits, at least 1, at most 64",
            "count=M": "is not digits, at least 1, at most 64",
            "cnt=1M": "does not begin with 'count='",
            "count=1": "does not end with 'M'",
            "count": "does not begin with 'count='",
        },
    ),
    (Int(prefix="aXa", suffix="aXa"), ["aXa1aXa"], {"aXa": "does not begin with 'aXa'"}),
    (Int(minimum=5), ["5", "9" * 5000], {"4": "is not digits, at least 5"}),
    (
        Int(leading_zeros=False, min_digits=1, max_digits=3),
        ["0", "10", "999"],
        {
            "01": "is not digits without leading zeros, 1 to 3 of them",
            "1000": "is not digits without leading zeros, 1 to 3 of them",
            "": "is not digits without leading zeros, 1 to 3 of them",
        },
    ),
    (
        Matches(r"/a/[a-z./]+", no_dotdot=True),
        ["/a/b", "/a/b..c"],
        {
            "/a/../b": "has a component that begins with ..",
            "/a/b\n": r"does not match /a/[a-z./]+",
            "x": r"does not match /a/[a-z./]+",
        },
    ),
    (Matches(".+"), ["x"], {"\0": "contains NUL", "\ud800": why_not(Any(), "\ud800") or ""}),
    (
        Matches(r"(a)\1"),
        [],
        {
            "aa": "is never accepted: of the pattern (a)\\1, it has a reference back to a group",
        },
    ),
    (
        AbsolutePath(),
        ["/", "/a//b/", "/.."],
        {"a": "does not begin with /", "/a\n": "contains a newline"},
    ),
    (AbsolutePath(newline=True), ["/\n"], {"/\0": "contains NUL"}),
    (AbsolutePath(components=1), ["/", "/a", "/.."], {"/a/b": "has more than 1 components"}),
    (
        AbsolutePath(below="/dev/", no_dotdot=True, bare=False, stem="sd"),
        ["/dev/sda", "/dev/sd/x"],
        {
            "/dev/sd": "is nothing but /dev/sd",
            "/dev/": "does not begin with /dev/sd",
            "/dev/sda/../x": "has a component that begins with ..",
        },
    ),
    (
        AbsolutePath(below="/etc/", no_dotdot=True),
        ["/etc/", "/etc/a..b"],
        {
            "/etc/..": "has a component that begins with ..",
            "/etc/..x": "has a component that begins with ..",
            "/etc": "does not begin with /etc/",
        },
    ),
    (
        AbsolutePath(bare=False, empty_components=False),
        ["/a", "/a/b"],
        {"/": "is nothing but /", "//a": "has an empty component", "/a/": "has an empty component"},
    ),
    (
        Key("of=", AbsolutePath(below="/dev/")),
        ["of=/dev/x"],
        {"if=/dev/x": "does not begin with 'of='", "of=/etc": "does not begin with /dev/"},
    ),
    (Key("a", Int(prefix="b"), "c"), ["ab1c"], {"a1c": "does not begin with 'b'"}),
    (
        Any(operand=True, empty=False, newline=False),
        ["a", "a -b"],
        {"-a": "begins with -, as an option does", "": "is empty", "a\n": "contains a newline"},
    ),
    (Any(), ["", "-", "\n"], {"\0": "contains NUL"}),
    (Never("why"), [], {"": "is never accepted: why"}),
]


@pytest.mark.parametrize(("spec", "good", "bad"), WORDS)
def test_words(spec: ArgSpec, good: list[str], bad: dict[str, str]) -> None:
    for word in good:
        assert accepts(spec, word)
        assert why_not(spec, word) is None
    for word, why in bad.items():
        assert not accepts(spec, word)
        assert why_not(spec, word) == why


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Const("a"), "'a'"),
        (Choice(("a", "b")), "one of 'a', 'b'"),
        (Int(prefix="n="), "'n=', digits"),
        (Int(min_digits=2), "digits, 2 to more of them"),
        (Matches("a+"), "text that matches a+"),
        (Matches("/a/b+", no_dotdot=True), "text that matches /a/b+ without .."),
        (PathWithin("/srv"), "a path within /srv"),
        (AbsolutePath(components=1), "an absolute path of 1 component"),
        (
            AbsolutePath(below="/dev/", no_dotdot=True, components=2, stem="sd"),
            "a path below /dev/ that goes on with sd of 2 components without ..",
        ),
        (Key("if=", Any()), "'if=', any text"),
        (Any(empty=False, operand=True), "text that is not empty that does not begin with -"),
        (Never("it is broken"), "nothing at all: it is broken"),
    ],
)
def test_descriptions(spec: ArgSpec, text: str) -> None:
    assert describe(spec) == text


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a file, links that stay, links that lead out, and a sibling."""
    tmp_path = tmp_path.resolve()
    inside = tmp_path / "images"
    inside.mkdir()
    (inside / "disk").touch()
    (inside / "same").symlink_to("disk")
    (inside / "out").symlink_to("/etc")
    (inside / "loop").symlink_to("loop")
    (inside / "up").symlink_to("..")
    (tmp_path / "images-evil").mkdir()
    (tmp_path / "in").symlink_to(inside)
    return inside


def test_paths_within(base: Path) -> None:
    check = compile_annotation(Annotated[str, PathWithin(str(base))])
    above = base.parent
    for path, real in {
        f"{base}/disk": base / "disk",
        f"{base}/same": base / "disk",
        f"{base}": base,
        f"{base}/../in/./disk": base / "disk",
        f"{base}/new/file": base / "new/file",
        f"{base}/disk/x": base / "disk/x",
        f"{base}/up/images/new": base / "new",
        f"{above}/in//disk": base / "disk",
    }.items():
        assert check(path) == str(real)
        assert os.path.realpath(path) == str(real)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("{base}/../images-evil/x", "leads out of {base}"),
        ("{base}-evil/x", "leads out of {base}"),
        ("{base}/out/passwd", "leads out of {base}"),
        ("{base}/up", "leads out of {base}"),
        ("{base}/new/../../x", "leads out of {base}"),
        ("{base}/loop", "cannot be resolved: too many symbolic links"),
        ("{base}/" + "n" * 300, "cannot be resolved: File name too long"),
        ("images/disk", "is not an absolute path"),
        ("", "is not an absolute path"),
        ("{base}/a\0b", "contains NUL"),
    ],
)
def test_paths_that_lead_out(base: Path, path: str, why: str) -> None:
    spec = PathWithin(str(base))
    with pytest.raises(Refused) as caught:
        compile_annotation(Annotated[str, spec])(path.format(base=base))
    assert str(caught.value) == why.format(base=base)
    assert why_not(spec, path.format(base=base)) == why.format(base=base)


def test_a_base_is_taken_as_it_is_written(base: Path) -> None:
    """A symlink as the base accepts nothing, as in oslo.rootwrap; a slash at its end matters."""
    assert not accepts(PathWithin(str(base.parent / "in")), f"{base.parent}/in/disk")
    assert not accepts(PathWithin(f"{base}/"), str(base))
    assert accepts(PathWithin(f"{base}/"), f"{base}/disk")
    assert accepts(PathWithin("/"), "/etc")


@pytest.mark.root
def test_a_folder_that_may_not_be_searched_is_not_guessed_about(base: Path) -> None:
    """Where lstat is refused, a name could be a link that was not followed."""
    hidden = base / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "out").symlink_to("/etc")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for folder in (base.parents[1], base.parent, base):
            folder.chmod(0o755)
        os.setresuid(65534, 65534, 65534)
        os.write(writer, (why_not(PathWithin(str(base)), f"{hidden}/out/x") or "").encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"cannot be resolved: Permission denied"
    os.close(reader)
