"""Whatever stands in the files that are judged: findings or one clear error, never a traceback."""

# ruff: noqa: E501 - a source is one line, so that it can be read

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privmigrate.audit.accepted import apply_ignores, read_ignores
from privmigrate.audit.engine import judge
from privmigrate.audit.gather import gather
from privmigrate.audit.listing import ListedTree
from privmigrate.audit.modules import read_module
from privmigrate.audit.tree import Node, Tree
from privmigrate.errors import InputError
from tests.audit.illustration import illustrate

WORDS = st.sampled_from(
    (
        "CommandFilter", "RegExpFilter", "EnvFilter", "PathFilter", "KillFilter", "ReadFileFilter",
        "IpFilter", "IpNetnsExecFilter", "ChainingRegExpFilter", "ChainingFilter", "root", "find",
        "env", "ip", "sh", "-c", ".*", "a|b", "(a+)+", "[", "\\d+", "/etc/x", "/etc/.*", "A=", "A=b",
        "PATH=", "", " ", "%s", "pass", "tee", "privsep-helper", "\u0665", "é", "[a-", "(?P<x>.)",
        "--privsep_context", "x{1000}", "$", "^", "\\", "python", "-9",
    )
)  # fmt: skip
ENTRY = st.tuples(st.sampled_from("abcA"), st.lists(WORDS, max_size=7)).map(
    lambda pair: f"{pair[0]}: {', '.join(pair[1])}\n"
)


@given(st.lists(ENTRY, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_entries(entries: list[str]) -> None:
    evidence = illustrate("[Filters]\n" + "".join(entries))
    apply_ignores(judge(evidence), read_ignores(evidence.texts))


class OneFile(Tree):
    """A tree with nothing but one file, of any bytes."""

    def __init__(self, path: str, data: bytes) -> None:
        self._listed = ListedTree(f"-rw-r--r-- root root {path}\n")
        self._data = data

    def look(self, path: str) -> Node:
        return self._listed.look(path)

    def names_real(self, path: str) -> tuple[str, ...]:
        return self._listed.names_real(path)

    def read_real(self, path: str) -> bytes:  # noqa: ARG002 - there is only one
        return self._data


BYTES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from((b"[Filters]\n", b"[DEFAULT]\n", b"x: ", b"\0", b"\xff", b"filters_path",
                              b"=/etc\n", b",", b"@c.entrypoint\n", b"def f(a):\n", b"    open(a)\n",
                              b"import os\n", b"\\\n", b"# privmigrate: ignore PM105"))).map(
        b"".join
    ),
)  # fmt: skip


@pytest.mark.parametrize("path", ["/a.filters", "/rootwrap.conf", "/m.py"])
@given(data=BYTES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes(path: str, data: bytes) -> None:
    evidence = gather(OneFile(path, data), (path,))
    apply_ignores(judge(evidence), read_ignores(evidence.texts))


@given(BYTES)
@settings(max_examples=15, deadline=None)
def test_any_sudoers(data: bytes) -> None:
    judge(gather(OneFile("/etc/sudoers", data), ("/etc/sudoers",)))


@pytest.mark.parametrize(
    "source",
    [
        "def f(*, entrypoint): execute(*entrypoint)\n",
        "@c.entrypoint\ndef f(a=[*()], /, *b, c, **d): (x := a); x += b; x.append(*c); execute(*x, *d)\n",
        "@c.entrypoint\nasync def f(a): [execute(*i) for i in a]; [j, *k] = a; execute(j, *k)\n",
        "@c.entrypoint\ndef f(a):\n    while a:\n        a += [a]\n        a = a or [a]\n    execute(*a)\n",
        "@c.entrypoint\ndef f():\n    subprocess.run()\n    execute()\n    os.system()\n    open()\n",
        "@c.entrypoint\ndef f(a: Annotated[int]): pass\n",
        "@c.entrypoint\ndef f(a: Annotated[str, Int(minimum=x)], b: 'a b', c: Literal[x, 1]): pass\n",
        "@c.entrypoint\n@command(capabilities=(capabilities.CAP_NONE,))\ndef f(): pass\n",
        "x = PrivContext(*a, **b)\ny = z = PrivContext()\n@x.entrypoint\ndef f(): pass\n",
        "@c.entrypoint\ndef f(a):\n" + "    a += ['x'] if a else ['y']\n" * 30 + "    execute(*a)\n",
        "@c.entrypoint\ndef f(a):\n    b = ['x']\n" + "    if a:\n        b += ['y']\n" * 12
        + "    execute(*b)\n",
    ],
)  # fmt: skip
def test_odd_python(source: str) -> None:
    read_module(source, "m.py")
    judge(gather(OneFile("/m.py", source.encode()), ("/m.py",)))


def test_a_path_that_is_not_there_is_one_error() -> None:
    with pytest.raises(InputError, match="No such file"):
        gather(ListedTree(""), ("/none",))
