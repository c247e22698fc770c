"""What is written: formatted, typed, the same every time, and without a trace of this machine."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privmigrate.argv.spec import Choice, Int, Matches
from privmigrate.callsites.site import Site
from privmigrate.convert import Options, convert
from privmigrate.convert.layout import Text, lay_out
from privmigrate.convert.lock import Disk, write
from privmigrate.convert.source import read_sources, relabel
from privmigrate.convert.text import quote, quote_formatted, quote_pattern
from tests.convert.packages import EXEC_DIRS, converted, rules_of
from tests.convert.sites import call, each, site, template, value, when, word

PROJECT = Path(__file__).resolve().parents[2]
# OpenStack's style; what it is checked with has to leave generated code as it is.
RUFF = """
line-length = 79
[lint]
select = ["E", "F", "W", "UP", "B", "G", "LOG", "S"]
"""
MYPY = """
[mypy]
strict = True
[mypy-prctl.*,_prctl.*,msgpack.*,pyroute2.*]
ignore_missing_imports = True
"""

ODD = r"""
# x/y.py: 'chown', owner, path
x1: RegExpFilter, x, root, x, "quoted", it's, both'", \\backslash\\, {brace}, (a"|b')
x2: RegExpFilter, x, root, x, k="\d+, {k}=\d+, a{1,1}=[a-z"'\\]+
x3: RegExpFilter, x, root, x, /tmp/.+, /var/tmp/x, /dev/shm/[a-z]+, 0\.0\.0\.0, (/tmp/a|/tmp/b)
x4: RegExpFilter, x, root, x, /very/long/path/that/does/not/fit/on/a/line/of/seventy-nine/columns/at/all/[a-z]+
x5: RegExpFilter, x, root, x, very-long-fixed-word-without-any-blank-in-it-that-does-not-fit-on-one-line-of-text
x6: RegExpFilter, x, root, x, (alternative-number-one|alternative-number-two|alternative-number-three|four)
x7: RegExpFilter, x, root, x, [\\"a-z\\]+very-long-pattern-with-\"quotes\"-and-\\\\-backslashes-in-it-[^\"]+
x8: RegExpFilter, x, root, x, é, ü+, \x07, \t, .*\n
x9: RegExpFilter, /tmp/x, root, x, a-word, another-word, a-third-word, a-fourth-word, a-fifth-word, a-sixth
y1: PathFilter, y, root, pass, /tmp, ""{}\, '
y2: PathFilter, y, nova, /
y3: PathFilter, y, root, /var/lib/a/folder/with/quite/a/long/name/indeed/so/that/it/needs/lines/of/its/own
e1: EnvFilter, env, root, A="x', class=, x-y=, 1a=, e
e2: EnvFilter, env, root, A="x', B=, C=, D=, E=, F=, e
e3: EnvFilter, env, root, A="x', B=, C=, D=, E=, G=, e
e4: EnvFilter, env, root, A_VARIABLE_WITH_A_LONG_NAME=, ANOTHER_VARIABLE_WITH_A_LONG_NAME=, e, -a, b
k1: KillFilter, root, /usr/lib/a/folder/with/quite/a/long/name/indeed/program, -9, -15, -HUP, -INT, -USR1
r1: ReadFileFilter, /tmp/a "file" with 'odd' {name}
r2: ReadFileFilter, /etc/a/folder/with/quite/a/long/name/indeed/so/that/it/needs/lines/of/its/own/file.conf
i1: IpFilter, /sbin/ip, root
i2: IpNetnsExecFilter, ip, root
c1: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]
c2: ChainingRegExpFilter, ionice, root, ionice, -c[0-3], -n[0-7]
c3: ChainingRegExpFilter, nice, root, nice, -n, \d+
c4: ChainingRegExpFilter, cgexec, root, cgexec, -g, blkio:\S+
c5: ChainingRegExpFilter, netns, root, netns, .+
c6: ChainingRegExpFilter, unknown-wrapper-with-a-long-name, root, unknown-wrapper-with-a-long-name, --quite-long
w1: CommandFilter, /usr/lib/one/rather/long/folder/name/program, root
w2: CommandFilter, /usr/lib/another/rather/long/folder/name/program, root
w3: CommandFilter, class, root
w4: CommandFilter, 0.0.0.0, root
"""  # noqa: E501


CALLED = r"""
x: CommandFilter, x, root
y: CommandFilter, y, root
z: EnvFilter, env, root, LC_ALL=C, LANG=, class=, z
i: IpFilter, ip, root
i2: IpNetnsExecFilter, ip, root
c: ChainingRegExpFilter, nice, root, nice, -n, \d+
r: RegExpFilter, /tmp/r, root, r, /tmp/.+, k=\d+, (a"|b')
chmod: CommandFilter, chmod, root
k1: KillFilter, root, /usr/bin/a, -9
k2: KillFilter, root, /usr/bin/b, -9
f: ReadFileFilter, /etc/x
"""
LONG = "very-long-fixed-word-without-any-blank-in-it-that-does-not-fit-on-one-line-of-text"


def calls() -> Iterator[Site]:
    """Every part that a generated function may have, with names and texts that are awkward."""
    item = value("item")
    shapes = [
        template("x", when("class_", "--class", value("class_")), when("if_", "-f"), value("run")),
        template("x", "-l", value("l"), when("no", "-l"), when("O", "-O"), when("I", "-I", "x")),
        template("x", "a", when("yes", f"--{LONG}", value("long")), when("no", f"--{LONG}")),
        template("x", "b", each("item", "-o", word("k=", item), element="item"), value("args")),
        template("x", "c", each("words", word("'", value("word"), '"'), element="word")),
        template("x", "d", each("lines", LONG, word(f"{LONG}=", value("word")), element="word")),
        template("x", "e", word("/tmp/", value("a"), "/", value("b")), word("{", value("c"), "}")),
        template("x", "f", word(value("kind", Choice(("a", "b"))), ":", value("n", Int()))),
        template("z", value("x"), env={"LC_ALL": "C", "LANG": value("lang"), "class": "c"}),
        template("ip", "link", value("x"), value("x"), netns="ns"),
        template("x", "g", value("x"), prefix=("nice", "-n", "5")),
        template("r", word("/tmp/", value("x")), word("k=", value("n")), value("which")),
        template("chmod", "755", value("path")),
        template("kill", "-9", value("pid")),
        template("cat", "/etc/x"),
    ]
    for line, shape in enumerate(shapes, start=1):
        yield site(shape, line=line, function=f"Driver.{'long_name_' * (line % 9)}")
    several = (
        template("x", "h", when("q", "-q", value("q"), value("q2")), word("/tmp/", value("p"))),
        template("x", "j", when("q", value("q", Choice(("-a", '"'))), value("q2"))),
        template("x", "h", LONG, each("many", each("more", word(value("deep"), "'")))),
        template("y", word("k=", value("k", Matches("[a-z\\\\\"']+"))), word("0.0.0.0")),
    )
    yield site(*several, line=90, words="cmd")
    yield call("x", "i", value("path"), line=91, process_input="data")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, real_filters: list[Path]) -> Path:
    """A folder of packages, one for each kind of input."""
    folder = tmp_path_factory.mktemp("packages")
    write(folder / "odd", converted(ODD, "ip: CommandFilter, ip, root", package="odd").texts, {})
    text = f"{ODD}\n"
    oslo = converted(text, package="oslo", runtime="oslo", single_context=True)
    write(folder / "oslo", oslo.texts, {})
    from tests.property.test_convert_soundness import distinct_rules

    rules = distinct_rules(real_filters)
    everything = convert(rules, Options(package="everything", exec_dirs=EXEC_DIRS), Disk(None, {}))
    write(folder / "everything", everything.texts, {})
    for name, runtime in (("called", "privmigrate"), ("called_oslo", "oslo")):
        made = Options(package=name, runtime=runtime, exec_dirs=EXEC_DIRS)
        found = convert(rules_of(CALLED), made, Disk(None, {}), list(calls()))
        write(folder / name, found.texts, {})
    (folder / "ruff.toml").write_text(RUFF)
    (folder / "mypy.ini").write_text(MYPY)
    return folder


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={"PYTHONPATH": str(PROJECT), "MYPYPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_imports_are_in_the_order_of_hacking(packages: Path) -> None:
    """One name a line (H301), and by the whole dotted name, whatever its case (H306)."""
    compared = 0
    for path in packages.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8", "surrogateescape"))
        before: tuple[int, str] = (0, "")
        for node in tree.body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            assert len(node.names) == 1
            parts = [getattr(node, "module", ""), node.names[0].name]
            whole = ".".join(filter(None, parts)).lower()
            if node.lineno == before[0] + 1:
                assert before[1] < whole, path
                compared += 1
            before = node.end_lineno or 0, whole
    assert compared > 50


def test_ruff_finds_nothing(packages: Path) -> None:
    assert run(packages, "ruff", "check", "--quiet") == ""


def test_ruff_would_format_nothing(packages: Path) -> None:
    assert run(packages, "ruff", "format", "--diff", "--quiet") == ""


def test_mypy_finds_nothing(packages: Path) -> None:
    names = [word for name in ("odd", "oslo", "everything", "called") for word in ("-p", name)]
    assert run(packages, "mypy", "--config-file", "mypy.ini", "--no-incremental", *names) == ""


@pytest.mark.parametrize("package", ["odd", "everything", "called"])
def test_every_module_imports_without_a_warning(packages: Path, package: str) -> None:
    names = sorted(path.stem for path in (packages / package).glob("*.py"))
    imports = "; ".join(f"import {package}.{name}" for name in names if name != "__init__")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", imports],
        cwd=packages,
        env={"PYTHONPATH": f"{PROJECT}:{packages}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_entrypoints_of_the_other_runtime_are_oslo_privseps(packages: Path) -> None:
    text = (packages / "oslo" / "__init__.py").read_text()
    assert "from oslo_privsep import priv_context" in text
    assert "privmigrate.privsep" not in text
    code = """
import oslo
import oslo.a
from privmigrate.testing import recording
oslo.default_context.set_client_mode(False)
with recording() as commands:
    assert oslo.a.x_a_word_another_word_a_third_word() == ("", "")
assert commands[0].argv[0] == "/tmp/x"
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=packages,
        env={"PYTHONPATH": f"{PROJECT}:{packages}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_lists_of_words_are_checked_under_the_other_runtime_too(packages: Path) -> None:
    code = """
import called_oslo
import called_oslo.commands
from privmigrate.privsep import PrivilegeDenied
from privmigrate.testing import recording
called_oslo.unverified_context.set_client_mode(False)
with recording() as commands:
    assert called_oslo.commands.x_or_y(["y", "k=a", "0.0.0.0"]) == ("", "")
assert commands[0].argv[1:] == ("k=a", "0.0.0.0")
try:
    called_oslo.commands.x_or_y(["y", "k=a", "0.0.0.0", "x"])
except PrivilegeDenied:
    pass
else:
    raise AssertionError("not refused")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=packages,
        env={"PYTHONPATH": f"{PROJECT}:{packages}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


SAMPLE = PROJECT / "filters" / "sample" / "rootwrap.d"


def texts_of(paths: list[str]) -> Mapping[str, str]:
    sources = read_sources(paths)
    rules = relabel(sources.rules, sources.labels)
    return convert(rules, Options(exec_dirs=sources.exec_dirs), Disk(None, {})).texts


def test_the_order_in_which_files_are_given_changes_nothing() -> None:
    paths = [str(path) for path in sorted(SAMPLE.iterdir())]
    assert texts_of(paths) == texts_of(paths[::-1])


def test_nothing_depends_on_the_process_or_on_the_place(tmp_path: Path) -> None:
    """Hash seeds, working folders and names of folders leave no trace."""
    results = []
    for seed, place in (("1", "one"), ("2", "another")):
        folder = tmp_path / place / "rootwrap.d"
        folder.mkdir(parents=True)
        for path in SAMPLE.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        subprocess.run(
            [sys.executable, "-m", "privmigrate", "convert", str(folder)],
            cwd=folder.parent,
            env={"PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        package = folder.parent / "privileged"
        results.append({path.name: path.read_bytes() for path in package.iterdir()})
    assert results[0] == results[1]
    assert str(tmp_path).encode() not in b"".join(results[0].values())


def test_the_lock_is_json_and_knows_every_function() -> None:
    conversion = converted(ODD)
    data = json.loads(conversion.texts["privmigrate.lock"])
    known = {unit["name"] for entry in data["files"].values() for unit in entry["units"]}
    assert {op.name for op in conversion.ops} <= known


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.filters").write_text(
            f"[Filters]\n{name}: CommandFilter, {name}, root\n"
        )
    texts = texts_of([str(tmp_path / "two"), str(tmp_path / "one")])
    assert "# privmigrate: " in texts["a.py"]
    assert "one/a.filters:2 one" in texts["a.py"]
    assert "two/a.filters:2 two" in texts["a_filters.py"]


@given(st.text(max_size=30))
@settings(max_examples=300)
def test_printed_text_reads_as_it_was(text: str) -> None:
    """The judge is Python's own reader."""
    import ast

    assert ast.literal_eval(quote(text)) == text
    assert ast.literal_eval(quote_pattern(text)) == text
    split = "(" + "\n".join(lay_out(Text(text), 60)) + ")"
    assert ast.literal_eval(split) == text


@given(st.text(max_size=10), st.text(max_size=10))
@settings(max_examples=300)
def test_printed_formats_read_as_they_were(prefix: str, suffix: str) -> None:
    prefix, suffix = prefix.replace("\0", ""), suffix.replace("\0", "")
    printed = quote_formatted(prefix, "value", suffix)
    assert eval(printed, {"value": "x{y}"}) == f"{prefix}x{{y}}{suffix}"


def test_docstrings_survive_any_text() -> None:
    definition = 'r: ReadFileFilter, /a\\b"""c\\N{x}'
    conversion = converted(definition)
    compile(conversion.texts["a.py"], "a.py", "exec")
    assert rules_of(definition)[0].texts == ('/a\\b"""c\\N{x}',)
