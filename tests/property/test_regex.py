"""No pattern is read more widely than oslo.rootwrap reads it, and none is slower than linear.

Runs over generated patterns, over some that OpenStack shipped, and over the corpus where it is.
"""

import os
import re
import string
import warnings
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from privmigrate.argv.automaton import Automaton, Walk
from privmigrate.argv.check import accepts
from privmigrate.argv.linear import is_linear
from privmigrate.argv.regex import compile_pattern, specialise
from privmigrate.argv.spec import Never
from privmigrate.argv.syntax import Unsupported, parse, unparse

CORPUS = Path(os.environ.get("PRIVMIGRATE_CORPUS", Path(__file__).parents[3] / "shared/corpus"))
# Patterns that OpenStack has shipped, so that this test means something without the corpus.
SHIPPED = (
    r"\d+", r".*", r".+", r"/.*", r"/[^/]*", r"/etc/(?!\.\.).*", r"/var/lib/x/(?!.*/\.\.).*",
    r"^[/]*([^/\0]+(/+)?)*$", r"if=\S+", r"count=\d+", r"\+\d+", r"-c[0-3]( -n[0-7])?",
    r"(root|ingress|parent .+)", r"(?i)(add|rem)", r"[1-9][0-9].*", r".*M$", r"resolv.conf",
    r"http://[0-9a-z:./-\[\]\%]+", r"/etc/netns/qrouter-[^/].*", r"echo '((.|\n)*)' > /.*",
    r"/dev/mapper/ip-.*-iscsi-iqn.2010-10.org.openstack:volume-.*", r"/proc/\d+/cmdline",
)  # fmt: skip


def corpus_patterns() -> tuple[str, ...]:
    found = set(SHIPPED)
    for path in sorted(CORPUS.rglob("*.filters")):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        for line in text.splitlines():
            if "RegExpFilter" in line and not line.startswith("#"):
                _, _, value = line.partition(":")
                found.update(word.strip() for word in value.split(",")[3:])
    return tuple(sorted(found))


PATTERNS = corpus_patterns()

characters = st.sampled_from("aab/.-=0 \n9kK_\u212a\u0665\x1f\u1680") | st.characters()
texts = st.text(characters, max_size=12)

atoms = st.sampled_from(
    (
        *"aab/-=0k.^$",
        *(r"\.", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\Z", r"\b", r"\B"),
        *("[a-k]", "[^/]", "[ -~]", r"[^\d]", r"[\da]", r"[^\w/]", r"[\D0]", r"[^a\S]"),
    )
)


def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    suffix = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "??"])
    wrap = st.sampled_from(
        (
            *("({})", "(?:{})", "(?={})", "(?!{})", "(?i:{})", "(?s:{})", "(?a:{})", "(?m:{})"),
            *("(?P<n>{})", "(?!.*{})", "(?<=a)", "(?<!/)", "(?!(?!{}))"),
        )
    )
    return (
        st.lists(inner, max_size=3).map("".join)
        | st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format)
        | st.builds(lambda text, end: f"(?:{text}){end}", inner, suffix)
        | st.builds(lambda frame, text: frame.format(text), wrap, inner)
    )


patterns = st.builds(
    lambda flags, body, end: flags + body + end,
    st.sampled_from(["", "", "", "(?i)", "(?s)", "(?m)", "(?x)", "(?a)", "(?ai)"]),
    st.recursive(atoms, extend, max_leaves=7)
    | st.lists(st.recursive(atoms, extend, max_leaves=3), max_size=3).map("|".join),
    st.sampled_from(["", "", "", "$", "\\", "# x", "|", ")", "["]),
)


def rootwrap_accepts(pattern: str, text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(re.match(pattern + "$", text))
    except re.error:
        return False


@settings(max_examples=1500, deadline=None)
@given(patterns, st.lists(texts, max_size=8))
@example("a|b", ["a", "b", "ab", "ba"])
@example("abc\\", ["abc", "abc$", "abc\\"])
@example("(?x)a # b", ["a", "ab", "a # b"])
@example(r"(?!\d).", ["\u0665", "a"])
@example(r"(?i)k", ["\u212a", "k"])
@example(r"(?ai)k", ["\u212a", "k"])
@example(r"\B", [""])
def test_generated_patterns_accept_no_more(pattern: str, words: list[str]) -> None:
    matcher = compile_pattern(pattern)
    spec = specialise(pattern)
    for word in words:
        if matcher.matches(word):
            assert rootwrap_accepts(pattern, word)
        if accepts(spec, word):
            assert rootwrap_accepts(pattern, word)
            assert not word.endswith("\n") or re.fullmatch(pattern + "$", word)


@settings(max_examples=600, deadline=None)
@given(patterns, st.lists(texts, max_size=8))
@example(r"(a?b??)*", ["ab", "ba", "aab"])
@example(r"(?:a|(?=b))*b", ["aab"])
def test_the_automaton_is_exactly_a_whole_match(pattern: str, words: list[str]) -> None:
    """It is judged by `re` on the tree as it was read: ASCII digits count alike on both sides."""
    try:
        tree = parse(pattern)
        automaton = Automaton(tree)
    except Unsupported:
        assume(condition=False)
    compiled = re.compile(unparse(tree))
    for word in words:
        assert automaton.matches(word) == (compiled.fullmatch(word) is not None)


def mutations(word: str) -> list[str]:
    cut = len(word) // 2
    return [
        word,
        word + "\n",
        "\n" + word,
        word + "/../x",
        "/.." + word,
        word[:cut] + ".." + word[cut:],
        word[:cut] + "\n" + word[cut:],
        word[:cut] + word[cut + 1 :],
        word.swapcase(),
        word.translate(str.maketrans(string.digits, "".join(map(chr, range(0x660, 0x66A))))),
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_shipped_patterns_accept_no_more(pattern: str) -> None:
    matcher = compile_pattern(pattern)
    spec = specialise(pattern)
    assert not isinstance(spec, Never)
    seen = 0

    # Hypothesis proposes texts that the pattern matches; near misses are made of them.
    @settings(max_examples=15, deadline=None, database=None)
    @given(st.from_regex(pattern + r"\Z"))
    def check(word: str) -> None:
        nonlocal seen
        for each in mutations(word[:20] if "[/]*" in pattern else word):
            if matcher.matches(each) or accepts(spec, each):
                seen += 1
                assert rootwrap_accepts(pattern, each), each

    check()
    assert seen, "nothing was accepted at all"


HARD = (
    r"^[/]*([^/\0]+(/+)?)*$", r"(a+)+", r"(a|a)*b", r"(a|aa)*", r".*.*.*=.*", r"(a*)*b",
    r"(?!.*a.*a.*b).*", r"(?:a?){20}a{20}", r"(x+x+)+y", r"(?=(a+)+b)a*", r"\b(a+\b)*c",
    r"(?!(a+)+b)a*", r"(?<=aa)b*|a*", r"/dev/ip-.*-iqn.*-.*",
)  # fmt: skip


@pytest.mark.parametrize("pattern", HARD)
def test_steps_grow_with_the_text_and_not_faster(pattern: str) -> None:
    """Ten times the text is at most some ten times the steps, in the worst texts that are known."""
    assert not is_linear(parse(pattern))
    for unit in ("a", "ab", "/", "x", "-", "a/"):
        steps = []
        for length in (300, 3000):
            walk = Walk()
            Automaton(parse(pattern)).matches(unit * length + "!", walk)
            steps.append(walk.steps)
        assert steps[1] <= 10.5 * steps[0] + 1000


@settings(max_examples=300, deadline=None)
@given(patterns, texts.filter(bool))
def test_steps_are_bounded_by_text_and_pattern(pattern: str, unit: str) -> None:
    try:
        automaton = Automaton(parse(pattern))
    except Unsupported:
        assume(condition=False)
    walk = Walk()
    text = unit * 40
    automaton.matches(text, walk)
    # A lookahead has its own states; a dozen of them is more than these patterns have.
    size = len(unparse(parse(pattern))) + 12
    assert walk.steps <= 40 * (len(text) + 1) * size
