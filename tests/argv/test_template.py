"""Templates say the shape of a command line, both ways."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    PathWithin,
)
from privmigrate.argv.template import (
    Binding,
    Bindings,
    Hole,
    Lit,
    Mismatch,
    Opt,
    Rep,
    Segment,
    Template,
)
from privmigrate.argv.unify import join, unify
from privmigrate.errors import Refused

CONVERT = Template(
    (
        Lit("qemu-img"),
        Lit("convert"),
        Opt("t", (Lit("-t"), Hole("cache", Choice(("none", "writeback"))))),
        Rep("options", (Lit("-o"), Hole("option", Key("opt=", Any(empty=False))))),
        Hole("source", AbsolutePath()),
        Opt("size", (Hole("bytes", Int(suffix="M")),)),
    )
)

CASES: list[tuple[Bindings, str]] = [
    (
        {"t": None, "options": (), "source": "/a", "size": None},
        "qemu-img convert /a",
    ),
    (
        {
            "t": {"cache": "none"},
            "options": ({"option": "x"}, {"option": "y"}),
            "source": "/a",
            "size": {"bytes": "5"},
        },
        "qemu-img convert -t none -o opt=x -o opt=y /a 5M",
    ),
]


@pytest.mark.parametrize(("bindings", "line"), CASES)
def test_rendered_and_matched(bindings: Bindings, line: str) -> None:
    argv = tuple(line.split())
    assert CONVERT.render(bindings) == argv
    assert CONVERT.match(argv) == bindings


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "word 1 is missing: 'qemu-img'"),
        ("qemu-img info", "word 2 is not 'convert'"),
        ("qemu-img convert", "word 3 is missing: '-t'"),
        ("qemu-img convert a", "word 3 is not '-t'"),
        ("qemu-img convert -t all", "word 4 is not one of 'none', 'writeback'"),
        ("qemu-img convert -o x /a", "word 4 does not begin with 'opt='"),
        ("qemu-img convert -o opt= /a", "word 4 is empty"),
        ("qemu-img convert /a 5", "word 4 does not end with 'M'"),
        ("qemu-img convert /a 5M /b", "word 5 is one too many"),
        ("qemu-img convert -t none", "word 5 is missing: '-o'"),
    ],
)
def test_mismatches_name_the_word_that_got_furthest(line: str, why: str) -> None:
    assert CONVERT.match(tuple(line.split())) == Mismatch(why)


@pytest.mark.parametrize(
    ("bindings", "why"),
    [
        ({}, "options is missing, or of another kind"),
        ({"t": "x"}, "t is missing, or of another kind"),
        ({"t": {}}, "cache is missing, or of another kind"),
        ({"t": {"cache": "all"}}, "cache is not one of 'none', 'writeback'"),
        ({"t": None, "options": None}, "options is missing, or of another kind"),
        ({"t": None, "options": (), "source": "a"}, "source does not begin with /"),
    ],
)
def test_bindings_that_do_not_fit_are_refused(bindings: Bindings, why: str) -> None:
    with pytest.raises(Refused) as caught:
        CONVERT.render(bindings)
    assert str(caught.value) == why


def test_matching_converts() -> None:
    """What is rendered from a match is the real path: that is what may be executed."""
    base = Path("/proc/self").resolve()
    template = Template((Lit("cat"), Hole("path", PathWithin(str(base.parent)))))
    found = template.match(("cat", "/proc/self/../self/status"))
    assert found == {"path": f"{base}/status"}
    assert template.render({"path": "/proc/self/status"}) == ("cat", f"{base}/status")


def test_optional_parts_are_present_and_repetitions_long_where_both_fit() -> None:
    template = Template((Rep("all", (Hole("a"),)), Opt("b", (Hole("b"),)), Rep("c", (Lit("x"),))))
    assert template.match(("x", "x")) == {"all": ({"a": "x"}, {"a": "x"}), "b": None, "c": ()}
    template = Template((Opt("b", (Hole("b"),)), Rep("all", (Hole("a"),))))
    assert template.match(("x",)) == {"b": {"b": "x"}, "all": ()}


def test_matching_ends_whatever_is_nested() -> None:
    inner: tuple[Segment, ...] = (Lit("a"),)
    for depth in range(6):
        inner = (Rep(f"r{depth}", (Opt(f"o{depth}", inner),)),)
    template = Template((*inner, *inner, Lit("b")))
    assert template.match(("a",) * 12) == Mismatch("word 13 is missing: 'a'")
    assert not isinstance(template.match((*("a",) * 12, "b")), Mismatch)


Words = Callable[..., str]

UNIFIED: list[tuple[Template, Template, Template | None]] = [
    (Template((Lit("a"),)), Template((Lit("a"),)), Template((Lit("a"),))),
    (Template((Lit("a"),)), Template((Lit("b"),)), None),
    (Template((Lit("a"), Lit("b"))), Template((Lit("a"),)), None),
    (
        Template((Lit("lvs"), Hole("vg", Const("a")))),
        Template((Lit("lvs"), Lit("b"))),
        Template((Lit("lvs"), Hole("vg", Choice(("a", "b"))))),
    ),
    (
        Template((Lit("lvs"), Lit("b"))),
        Template((Lit("lvs"), Hole("vg", Matches("[a-z]")))),
        Template((Lit("lvs"), Hole("vg", Matches("[a-z]")))),
    ),
    (Template((Hole("a", Int()),)), Template((Hole("a", AbsolutePath()),)), None),
    (Template((Hole("a", Int()),)), Template((Lit("x"),)), None),
    (
        Template((Lit("lvs"), Lit("--units"), Hole("u"), Lit("x"))),
        Template((Lit("lvs"), Lit("x"))),
        Template((Lit("lvs"), Opt("units", (Lit("--units"), Hole("u"))), Lit("x"))),
    ),
    (
        Template((Lit("lvs"), Opt("units", (Lit("--units"), Hole("u"))), Lit("x"))),
        Template((Lit("lvs"), Lit("--units"), Hole("v"), Lit("x"))),
        Template((Lit("lvs"), Opt("units", (Lit("--units"), Hole("u"))), Lit("x"))),
    ),
    (
        Template((Lit("lvs"), Lit("x"))),
        Template((Lit("lvs"), Opt("units", (Lit("--units"), Hole("u"))), Lit("x"))),
        Template((Lit("lvs"), Opt("units", (Lit("--units"), Hole("u"))), Lit("x"))),
    ),
    (
        Template((Rep("r", (Lit("-o"), Lit("a"))),)),
        Template((Rep("r", (Lit("-o"), Hole("v"))),)),
        Template((Rep("r", (Lit("-o"), Hole("v"))),)),
    ),
    (
        Template((Opt("r", (Lit("-o"), Lit("a"))),)),
        Template((Opt("s", (Lit("-p"),)),)),
        Template((Opt("r", (Lit("-o"), Lit("a"))), Opt("s", (Lit("-p"),)))),
    ),
    # two parts of one name could not be told apart
    (
        Template((Opt("r", (Lit("-o"), Lit("a"))),)),
        Template((Opt("r", (Lit("-p"),)),)),
        None,
    ),
    (Template((Rep("r", (Lit("a"),)),)), Template((Rep("r", (Lit("b"),)),)), None),
    (Template((Lit("cp"), Hole("a"))), Template((Lit("cp"), Hole("a"), Hole("b"))), None),
    # "chown HOLE HOLE" would be more than both
    (
        Template((Lit("chown"), Hole("owner"), Lit("/a"))),
        Template((Lit("chown"), Lit("root"), Hole("path"))),
        None,
    ),
    (
        Template((Hole("a", Const("a")), Hole("b", Const("b")))),
        Template((Lit("c"), Lit("d"))),
        None,
    ),
    (
        Template((Hole("a"), Hole("b"))),
        Template((Lit("c"), Lit("d"))),
        Template((Hole("a"), Hole("b"))),
    ),
]


@pytest.mark.parametrize(("one", "other", "both"), UNIFIED)
def test_unified(one: Template, other: Template, both: Template | None) -> None:
    assert unify(one, other) == both


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Int(), Int(), Int()),
        (Const("a"), Const("b"), Choice(("a", "b"))),
        (Choice(tuple("abcdefgh")), Const("i"), None),
        (Const("5"), Int(), Int()),
        (Int(), Choice(("5", "6")), Int()),
        (Int(), Const("x"), None),
        (Int(), Any(), Any()),
        (Any(operand=True), Int(), Any(operand=True)),
        (Any(operand=True), Key("-o", Any()), None),
        (
            Any(operand=True, newline=False),
            Matches("(?!-).*:[0-9]+"),
            None,
        ),
        (
            Any(operand=True, newline=False),
            Matches("(?:(?!-).+)/x"),
            Any(operand=True, newline=False),
        ),
        (Any(operand=True, newline=False), Matches("(?!-)a|-b"), None),
        (Any(operand=True, newline=False), Matches(r"(?!-)[^a]*"), None),
        (Any(operand=True, newline=False), Matches(r"(?!-).\n"), None),
        (Any(operand=True, newline=False), Matches(r"(?!-).\s"), None),
        (Any(operand=True, newline=False), Matches("a"), None),
        (Any(operand=True), Key("o=", Any()), Any(operand=True)),
        (Any(newline=False), Key("o=", Any()), None),
        (Any(operand=True, newline=False), AbsolutePath(), Any(operand=True, newline=False)),
        (PathWithin("/a"), Const("/a/b"), None),
    ],
)
def test_joined(one: ArgSpec, other: ArgSpec, both: ArgSpec | None) -> None:
    assert join(one, other) == both


words = st.sampled_from(["a", "b", "-x", "5", "/p"])
specs: st.SearchStrategy[ArgSpec] = st.sampled_from(
    [Any(), Int(), Choice(("a", "b")), Key("k=", Any()), Int(prefix="-n"), Const("b")]
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    names = iter(f"n{number}" for number in range(1000))

    def segments(depth: int) -> tuple[Segment, ...]:
        found: list[Segment] = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from("llhhor" if depth else "llhh"))
            if kind == "l":
                found.append(Lit(draw(words)))
            elif kind == "h":
                found.append(Hole(next(names), draw(specs)))
            else:
                part = Opt if kind == "o" else Rep
                found.append(part(next(names), segments(depth - 1)))
        return tuple(found)

    return Template(segments(2))


def bindings_of(draw: st.DrawFn, segments: tuple[Segment, ...]) -> Bindings:
    found: dict[str, Binding] = {}
    for segment in segments:
        match segment:
            case Hole(name, spec):
                values = {Any: ["a", "-x", ""], Int: ["5", "10"], Key: ["v"]}
                found[name] = draw(st.sampled_from(values.get(type(spec), ["b"])))
            case Opt(name, inner):
                found[name] = bindings_of(draw, inner) if draw(st.booleans()) else None
            case Rep(name, inner):
                count = draw(st.integers(0, 3))
                found[name] = tuple(bindings_of(draw, inner) for _ in range(count))
            case Lit():
                pass
    return found


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_was_rendered_matches_and_renders_the_same(data: st.DataObject) -> None:
    template = data.draw(templates())
    argv = template.render(data.draw(st.composite(bindings_of)(template.segments)))
    found = template.match(argv)
    assert not isinstance(found, Mismatch)
    assert template.render(found) == argv


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_unified_template_accepts_what_either_accepts(data: st.DataObject) -> None:
    one = data.draw(templates())
    # near relatives, or hardly any pair could be unified
    segments = list(one.segments)
    place = data.draw(st.integers(0, len(segments) - 1))
    change = data.draw(st.sampled_from(["drop", "same", "replace"]))
    if change == "drop":
        del segments[place]
    elif change == "replace":
        segments[place] = data.draw(st.builds(Hole, st.just("new"), specs) | st.builds(Lit, words))
    other = Template(tuple(segments))
    both = unify(one, other)
    assume(both is not None)
    assert both is not None
    for template in (one, other):
        argv = template.render(data.draw(st.composite(bindings_of)(template.segments)))
        assert not isinstance(both.match(argv), Mismatch)
