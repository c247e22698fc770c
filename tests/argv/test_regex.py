"""Idioms of real filters become the specification that a person would have written."""

import pytest

from privmigrate.argv.automaton import Automaton
from privmigrate.argv.check import accepts
from privmigrate.argv.regex import compile_pattern, is_literal_with_dots, specialise
from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    Never,
)
from privmigrate.argv.syntax import parse

READ: list[tuple[str, ArgSpec]] = [
    ("-maxdepth", Const("-maxdepth")),
    ("", Const("")),
    (r"frrinit\.sh", Const("frrinit.sh")),
    ("resolv.conf", Const("resolv.conf")),
    ("a|b", Choice(("a", "b"))),
    ("(root|ingress)", Choice(("root", "ingress"))),
    ("-c[0-3]", Choice(("-c0", "-c1", "-c2", "-c3"))),
    ("colou?r", Choice(("colour", "color"))),
    ("(a.b|c)", Choice(("a.b", "c"))),
    ("abc\\", Const("abc$")),
    ("(?x) a b # c", Const("ab")),
    ("(?i)123", Const("123")),
    (r"\d+", Int()),
    ("^[0-9]+$", Int()),
    (r"(\d+)", Int()),
    (r"[1-9]\d*", Int(minimum=1, leading_zeros=False)),
    (r"\d{1,3}", Int(max_digits=3)),
    (r"\d\d", Int(min_digits=2, max_digits=2)),
    (r"count=\d+", Int(prefix="count=")),
    (r"\+\d+", Int(prefix="+")),
    (r"/proc/\d+/cmdline", Int(prefix="/proc/", suffix="/cmdline")),
    (r"net.core.x=\d+", Int(prefix="net.core.x=")),
    (r"a\d+5", Matches(r"a\d+5")),
    (r"1\d+", Matches(r"1\d+")),
    (r"\d*", Matches(r"\d*")),
    (r"[1-9][0-9].*", Matches(r"[1-9][0-9].*")),
    (".*", Any(newline=False)),
    (".+", Any(empty=False, newline=False)),
    ("(?s).*", Any()),
    (r"(.|\n)+", Any(empty=False)),
    (r"\S+", Matches(r"\S+")),
    ("/.*", AbsolutePath()),
    ("/[^/]*", AbsolutePath(components=1)),
    ("/.+", AbsolutePath(bare=False)),
    ("/dev/.*", AbsolutePath(below="/dev/", no_dotdot=True)),
    ("/dev/sd.+", AbsolutePath(below="/dev/", no_dotdot=True, bare=False, stem="sd")),
    ("/dev/[^/]+", AbsolutePath(below="/dev/", no_dotdot=True, components=1, bare=False)),
    (r"/etc/(?!\.\.).*", AbsolutePath(below="/etc/", no_dotdot=True)),
    (r"/var/lib/x/(?!.*/\.\.).*", AbsolutePath(below="/var/lib/x/", no_dotdot=True)),
    (r"^[/]*([^/\0]+(/+)?)*$", AbsolutePath()),
    ("(/[^/]+)+", AbsolutePath(bare=False, empty_components=False)),
    (r"/x/(?!.*\.\.).*", Matches(r"/x/(?!.*\.\.).*", no_dotdot=True)),
    ("/[a-z/]+", Matches("/[a-z/]+")),
    ("/etc/frr/[a-z]+", Matches("/etc/frr/[a-z]+", no_dotdot=True)),
    ("(/var|/usr)?/tmp/[^/]+/x", Matches("(/var|/usr)?/tmp/[^/]+/x", no_dotdot=True)),
    (r"if=\S+", Key("if=", Matches(r"\S+"))),
    (r"--file=/etc/.*", Key("--file=", AbsolutePath(below="/etc/", no_dotdot=True))),
    (r"blkio:\S+", Key("blkio:", Matches(r"\S+"))),
    ("conf=resolv.conf", Const("conf=resolv.conf")),
    ("of=a.b.*", Key("of=", Matches("a.b.*"))),
    ("http://[a-z]+", Matches("http://[a-z]+")),
    ("(?i)(add|rem)", Matches("(?i)(add|rem)")),
    ("(?i)if=.+", Matches("(?i)if=.+")),
    ("img-cache.*", Matches("img-cache.*")),
    ("(?!)", Never("it matches no text at all")),
    ("a(?!a)a", Matches("a(?!a)a")),
]


@pytest.mark.parametrize(("pattern", "spec"), READ)
def test_read(pattern: str, spec: ArgSpec) -> None:
    assert specialise(pattern) == spec


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (
            "(",
            "it is no valid regular expression: missing ), unterminated subpattern at position 0",
        ),
        ("[a", "it is no valid regular expression: unterminated character set at position 0"),
        ("a" + "{99999999999}", "it is no valid regular expression: a number or the nesting"),
        ("(" * 5000 + ")" * 5000, "it is no valid regular expression: a number or the nesting"),
        ("(" * 300 + "a" + "(?=b)c)*" * 300, "it is nested too deeply"),
        (r"(a)\1", "it has a reference back to a group"),
        (r"(a)?(?(1)b|c)", "it has a condition on a group"),
        ("(?>a*)b", "it has an atomic group"),
        ("a++b", "it has a possessive quantifier"),
        ("(?<=^a)b", "it has a condition inside a lookbehind"),
        ("(a{1000}){1000}.*b.*", "it has more than 4000 states"),
    ],
)
def test_what_cannot_be_executed_accepts_nothing(pattern: str, why: str) -> None:
    assert specialise(pattern) == Never(why)
    assert not compile_pattern(pattern).matches("a")


def test_empty_items_repeated_for_ever_take_no_time() -> None:
    assert compile_pattern("(?:){4000000000}.*a.*").matches("a")


@pytest.mark.parametrize(
    ("pattern", "read_as_dots"),
    [
        ("resolv.conf", True),
        ("2010-10.org", True),
        (r"resolv\.conf", False),
        ("/dev/sd.", False),
        (".conf", False),
        ("a.*b", False),
        ("/etc/netns/[a-z]+/resolv.conf", False),  # is no constant: kept as it is written
    ],
)
def test_dots_that_were_not_escaped(pattern: str, *, read_as_dots: bool) -> None:
    assert is_literal_with_dots(pattern) is read_as_dots


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        # the traps of `re.match(pattern + '$', word)`
        ("sleep", ["sleep"], ["sleep\n"]),
        (r"\d+", ["5"], ["5\n", "\u0665", ""]),
        ("a|b", ["a", "b"], ["ab", "a anything", "b\n"]),
        # seven of the eight lookaheads in OpenStack's history mean this
        (r"/etc/(?!\.\.).*", ["/etc/x"], ["/etc/../x", "/etc/a/../../x"]),
        # it lets through what its author wanted to keep out: here the first component
        (r"/v/(?!.*/\.\.).*", ["/v/x"], ["/v/../x", "/v/a/../x"]),
        ("/dev/mapper/crypt-.+", ["/dev/mapper/crypt-1"], ["/dev/mapper/crypt-/../../etc"]),
        (r"^[/]*([^/\0]+(/+)?)*$", ["/mnt/x"], ["-delete", "/mnt\n", ""]),
        ("(?i)(add|rem)", ["ADD", "Rem"], ["added"]),
        (r"[0-9\.]+", ["10.0.0.1"], ["10.0.0.1 -j", "\u0661"]),
    ],
)
def test_words(pattern: str, accepted: list[str], refused: list[str]) -> None:
    spec = specialise(pattern)
    assert [word for word in accepted if not accepts(spec, word)] == []
    assert [word for word in refused if accepts(spec, word)] == []


@pytest.mark.parametrize(
    ("pattern", "by_re"),
    [
        (r"if=\S+", True),
        ("/etc/frr/[a-z]+-[0-9a-f-]+/.+", True),
        (".*M", True),
        (".*[ab]?M", True),
        ("(root|parent .+)", True),
        (r"(?i)[a-j]+k", True),
        (r"\S+\s*\x1c", False),
        (".*a.*", False),
        ("(a+)+", False),
        ("(?:a?){9}b", False),
        ("a?" * 40 + "a" * 40, False),
        (r"(?i)\u212a*k.*", False),
        ("[^a]*b", True),
        ("[^a]*b+", False),
        (r"(?a)\S*\x1c\S*", False),
        ("(ab|cd|ef|gh|ij|kl|mn|op|q)(rs|tu|vw|xy|za|bc|de|f).", False),
    ],
)
def test_re_executes_only_what_is_proven(pattern: str, *, by_re: bool) -> None:
    assert compile_pattern(pattern).by_re is by_re


def test_the_table_of_an_automaton_stays_small() -> None:
    """Texts that meet ever new characters and sets of states do not grow it without end."""
    automaton = Automaton(parse(r"(?=\b|(?!a).b).*x.{12}|(?<=\w)."))
    for start in range(0, 0x30000, 3000):
        codes = [code for code in range(start, start + 3000) if not 0xD800 <= code < 0xE000]
        automaton.matches("".join(f"{chr(code)}x" if code % 3 else "b" for code in codes))
    table = automaton._table
    assert 0 < len(table) <= 256
    assert max(map(len, table.values())) <= 512


@pytest.mark.timeout(20)
def test_a_long_pattern_takes_no_time_of_its_square() -> None:
    why = compile_pattern("x" * 60_000).why_never
    assert why is not None
    assert "states" in why
