"""What the reader keeps besides what configparser gives: places, raw texts, comments, order."""

import os
from pathlib import Path

import pytest

from privmigrate.diagnostics import Severity, Span
from privmigrate.rootwrap.filters import FILTERS
from privmigrate.rootwrap.parse import parse_filters, read_filters, read_filters_path
from privmigrate.rootwrap.rule import MINIMUM_VALUES, Rule, Status


def rules_of(text: str) -> tuple[Rule, ...]:
    return parse_filters(text.encode(), "x.filters").rules


def test_an_entry_keeps_its_text_and_the_place_of_every_value() -> None:
    text = (
        "[Filters]\n"
        "# not directly above\n"
        "\n"
        "# cinder/utils.py: 'find', path\n"
        ";; and more\n"
        "  Find_One : RegExpFilter , find,root,\n"
        "      # inside\n"
        "      find,  /[^/]*,\n"
        "\n"
        "      -inum, \\d+\n"
        "\n"
        "# after\n"
    )
    (rule,) = rules_of(text)
    assert rule == Rule(
        name="find_one",
        raw_name="Find_One",
        filter_class="RegExpFilter",
        values=rule.values,
        comments=("cinder/utils.py: 'find', path", "and more"),
        raw="\n".join(text.splitlines()[5:10]),
        span=Span("x.filters", 6, 3, 10),
        order=0,
        status=Status.LIVE,
    )
    places = [(value.text, value.span.line, value.span.column) for value in rule.values]
    assert places == [
        ("find", 6, 29),
        ("root", 6, 34),
        ("find", 8, 7),
        ("/[^/]*", 8, 14),
        ("-inum", 10, 7),
        (r"\d+", 10, 14),
    ]


def test_a_value_over_two_lines_says_where_it_ends() -> None:
    (rule,) = rules_of("[Filters]\na: CommandFilter, l\n\n s, root\n")
    assert rule.texts == ("l\n\ns", "root")
    assert rule.values[0].span == Span("x.filters", 2, 19, 4)


def test_what_is_indented_as_far_as_its_section_begins_an_entry() -> None:
    rules = rules_of("[Filters]\n  a: CommandFilter, x, root\n  b: CommandFilter, y, root\n")
    assert [rule.name for rule in rules] == ["a", "b"]


def test_empty_values_have_a_place_too() -> None:
    (rule,) = rules_of("[Filters]\na: CommandFilter, , root,\n")
    assert rule.texts == ("", "root", "")
    assert [value.span.line for value in rule.values] == [2, 2, 2]


def test_a_namesake_stands_beside_the_one_that_took_its_place() -> None:
    parsed = parse_filters(
        b"[Filters]\na: CommandFilter, one, root\nb: CommandFilter, two, root\n"
        b"A: CommandFilter, three, root\n",
        "x.filters",
    )
    seen = [(rule.raw_name, rule.texts[0], rule.status, rule.order) for rule in parsed.rules]
    assert seen == [
        ("a", "one", Status.SHADOWED, 0),
        ("A", "three", Status.LIVE, 2),
        ("b", "two", Status.LIVE, 1),
    ]
    assert [rule.texts[0] for rule in parsed.live] == ["three", "two"]
    (said,) = parsed.diagnostics
    assert str(said) == (
        "x.filters:2:1: warning: a has no effect: line 4 gives the name another value "
        "(rename one of them if both are meant; case does not count in names)"
    )


def test_a_namesake_without_enough_values_does_no_harm() -> None:
    """Only what counts is built: oslo.rootwrap never sees the first one."""
    parsed = parse_filters(b"[Filters]\na: CommandFilter\na: CommandFilter, ls, root\n", "x")
    assert parsed.errors == ()
    assert [rule.status for rule in parsed.rules] == [Status.SHADOWED, Status.LIVE]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a: DnsmasqFilter, dnsmasq, root",
            (
                "a: DnsmasqFilter was known to the rootwrap inside nova and quantum of 2012, "
                "not to "
                "oslo.rootwrap; rootwrap skips the entry (remove it, or write 'EnvFilter, dnsmasq, "
                "root, CONFIG_FILE=, NETWORK_ID=')"
            ),
        ),
        (
            "a: Commandfilter, ls, root",
            (
                "a: 'Commandfilter' is no filter class; rootwrap skips the entry "
                "(class names are case-sensitive and stand before the first comma)"
            ),
        ),
        (
            "a:",
            (
                "a: names no filter class; rootwrap skips the entry "
                "(write 'name: CommandFilter, EXECUTABLE, USER')"
            ),
        ),
    ],
)
def test_a_skipped_entry_is_reported(line: str, message: str) -> None:
    parsed = parse_filters(f"[Filters]\n{line}\n".encode(), "x.filters")
    assert [str(d) for d in parsed.diagnostics] == [f"x.filters:2:1: warning: {message}"]
    assert [rule.status for rule in parsed.rules] == [Status.UNKNOWN_CLASS]
    assert parsed.live == ()


def test_every_problem_of_a_file_is_named_at_once() -> None:
    parsed = parse_filters(b"[Filters]\none\ntwo\nr: ReadFileFilter\nk: KillFilter\n", "x")
    assert [(d.code, d.span.line) for d in parsed.errors] == [
        ("not-an-entry", 2),
        ("not-an-entry", 3),
        ("too-few-values", 4),
        ("too-few-values", 5),
    ]
    assert "'r: ReadFileFilter, FILE'" in parsed.errors[2].advice
    assert "1 value, 0 given" in parsed.errors[2].message
    assert "'k: KillFilter, USER, EXECUTABLE, SIGNAL'" in parsed.errors[3].advice


def test_a_long_line_is_shortened_in_messages() -> None:
    (said,) = parse_filters(b"[Filters]\n" + b"x" * 500, "x").errors
    assert len(str(said)) < 250


def test_the_place_of_an_undecodable_byte_far_down(tmp_path: Path) -> None:
    """The stream reads in pieces; the place counts from the beginning of the file."""
    data = b"[Filters]\n" + b"# comment\n" * 5000 + b"a: CommandFilter, \xff, root\n"
    parsed = parse_filters(data, "x")
    assert [d.span for d in parsed.errors] == [Span("x", 5002, 19)]


def test_folders_are_read_as_rootwrap_does_but_in_order(tmp_path: Path) -> None:
    for name in ("b.filters", "a.filters", "c.filters~", ".hidden.filters", "README"):
        entry = f"{name.strip('.')[0]}: CommandFilter, {name}, root"
        (tmp_path / name).write_text(f"[Filters]\n{entry}\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("a.filters")
    parsed = read_filters_path([str(tmp_path), str(tmp_path / "absent"), ""])
    assert [Path(rule.span.file).name for rule in parsed.rules] == [
        "README", "a.filters", "b.filters", "c.filters~", "link",
    ]  # fmt: skip
    assert [(d.severity, d.code) for d in parsed.diagnostics] == [
        (Severity.WARNING, "no-such-folder")
    ] * 2


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (said,) = read_filters(str(tmp_path / "absent.filters")).errors
    assert said.code == "unreadable"
    assert "No such file or directory" in said.message
    assert read_filters("a\0b").errors[0].code == "unreadable"


def test_names_of_other_files_do_not_shadow(tmp_path: Path) -> None:
    for name in ("a.filters", "b.filters"):
        (tmp_path / name).write_text(f"[Filters]\nx: CommandFilter, {name}, root\n")
    parsed = read_filters_path([str(tmp_path)])
    assert [rule.texts[0] for rule in parsed.live] == ["a.filters", "b.filters"]


def test_the_table_of_classes_is_one() -> None:
    assert set(MINIMUM_VALUES) == set(FILTERS)
