"""``privmigrate convert`` as a person meets it: exit codes, messages, and what is left alone."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.cli import COMMANDS, main

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "filters" / "sample"
PING = r"ping: RegExpFilter, ping, root, ping, -c, \d+, [0-9\.]+"


class Shell:
    """The command in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = main(words)
        self.out, self.err = self._capsys.readouterr()
        return code

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def filters(self, text: str, name: str = "a.filters") -> str:
        return self.write(name, f"[Filters]\n{text}\n")

    def tree(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def test_nothing_of_a_file_controls_the_terminal(shell: Shell) -> None:
    """Neither of its text nor of its name."""
    name = shell.filters(
        "\x1b[31mls: CommandFilter, ls\x1b[2J, root\n\x1b[1mb: Foo, ls", "\x1b.filters"
    )
    assert shell("convert", name) == 0
    assert "\x1b" not in shell.out + shell.err
    assert r"\x1b.filters:2 \x1b[31mls" in shell.out
    assert shell("convert", shell.filters("\x1b[31mls: RegExpFilter, ls", "\x1b.filters")) == 2
    assert "\x1b" not in shell.err


def test_a_folder_becomes_a_package_in_the_current_folder(shell: Shell) -> None:
    shell.filters(PING, "rootwrap.d/volume.filters")
    assert shell("convert", "rootwrap.d") == 0
    assert shell.err == "privmigrate: wrote 3 files into privileged/\n"
    assert sorted(path.name for path in Path("privileged").iterdir()) == [
        "__init__.py", "privmigrate.lock", "volume.py"
    ]  # fmt: skip
    assert shell.out == (
        "filter                 entrypoint   width  context  capabilities\n"
        "volume.filters:2 ping  volume.ping  exact  network  CAP_NET_RAW\n"
        "\n"
        "1 rule, 1 entrypoint: 1 exact, 0 narrowed, 0 wide\n"
    )


def test_again_nothing_is_written(shell: Shell) -> None:
    shell.filters(PING)
    shell("convert", "a.filters")
    before = Path("privileged/a.py").stat()
    assert shell("convert", "a.filters") == 0
    assert shell.err == "privmigrate: privileged/ is up to date\n"
    after = Path("privileged/a.py").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_check_says_what_is_out_of_date_and_writes_nothing(shell: Shell) -> None:
    shell.filters(PING)
    assert shell("convert", "a.filters", "--check") == 1
    assert "privileged/a.py is out of date\n" in shell.err
    assert not Path("privileged").exists()
    shell("convert", "a.filters")
    assert shell("convert", "a.filters", "--check") == 0
    assert shell.out == ""
    shell.filters(PING.replace("-c", "-w"))
    before = shell.tree()
    assert shell("convert", "a.filters", "--check") == 1
    assert shell.tree() == before


def test_diff_shows_and_writes_nothing(shell: Shell) -> None:
    shell.filters(PING)
    assert shell("convert", "a.filters", "--diff") == 0
    assert "--- /dev/null\n+++ b/privileged/a.py\n" in shell.out
    assert not Path("privileged").exists()
    shell("convert", "a.filters")
    shell.filters(PING.replace("-c", "-w"))
    before = shell.tree()
    assert shell("convert", "a.filters", "--diff") == 0
    assert '-    return run(PING, "-c", count, host)\n' in shell.out
    assert '+    return run(PING, "-w", deadline, host)\n' in shell.out
    assert shell.tree() == before


def test_json_is_the_table_as_data(shell: Shell) -> None:
    shell.filters(f"{PING}\nx: CommandFilter, unheard-of, root\ny: DnsmasqFilter, x, root")
    assert shell("convert", "a.filters", "--json") == 0
    data = json.loads(shell.out)
    assert data["summary"]["rules"] == 3
    assert data["summary"]["unverified"] == 1
    first, second, third = data["rules"]
    assert first["entrypoint"] == "a.ping"
    assert first["capabilities"] == ["CAP_NET_RAW"]
    assert (second["width"], second["capabilities"]) == ("wide", None)
    assert (third["fate"], third["entrypoint"]) == ("unknown class", "")
    assert "a.py" in data["changed"]


@pytest.mark.parametrize("stage", ["rules", "ops"])
def test_stages_can_be_seen(shell: Shell, stage: str) -> None:
    shell.filters(PING)
    assert shell("convert", "a.filters", "--show", stage) == 0
    (only,) = json.loads(shell.out)
    assert only["name"] == "ping"
    assert not Path("privileged").exists()


def test_wide_and_unknown_entrypoints_are_pointed_out(shell: Shell) -> None:
    shell.filters("x: CommandFilter, unheard-of, root")
    shell("convert", "a.filters")
    assert "WIDE" in shell.out
    assert "what unheard-of needs is not known: declare it with --capabilities" in shell.out
    assert "with every capability: 1 (unverified)" in shell.out
    assert "WIDE: a RegExpFilter of the words that callers really use would narrow it" in shell.out


def test_a_rootwrap_conf_says_where_things_are(shell: Shell) -> None:
    shell.filters(PING, "rootwrap.d/a.filters")
    shell.write(
        "rootwrap.conf",
        "[DEFAULT]\nfilters_path=/etc/sample/rootwrap.d,/no/such\nexec_dirs=/opt/bin, bin\n",
    )
    assert shell("convert", "rootwrap.conf") == 0
    assert "' bin' in exec_dirs is not absolute: left out" in shell.err
    assert 'EXEC_DIRS = ("/opt/bin",)' in Path("privileged/__init__.py").read_text()
    assert "/etc/sample/rootwrap.d is not here: rootwrap.d is read in its place" in shell.err
    assert "'/no/such' in filters_path is not a folder" in shell.err


def test_the_conf_beside_a_folder_says_where_executables_are(shell: Shell) -> None:
    shell.filters(PING, "etc/rootwrap.d/a.filters")
    shell.write("etc/rootwrap.conf", "[DEFAULT]\nfilters_path=/x\nexec_dirs=/opt/bin\n")
    assert shell("convert", "etc/rootwrap.d") == 0
    assert 'EXEC_DIRS = ("/opt/bin",)' in Path("privileged/__init__.py").read_text()
    assert "exec_dirs are those of etc/rootwrap.conf" in shell.err


def test_output_package_and_runtime(shell: Shell) -> None:
    shell.filters(PING)
    words = ["convert", "a.filters", "--output", "src", "--package", "nova.privileged"]
    assert shell(*words, "--runtime", "oslo", "--single-context") == 0
    text = Path("src/nova/privileged/__init__.py").read_text()
    assert "from oslo_privsep import priv_context" in text
    assert '"nova.privileged",' in text
    assert 'cfg_section="nova_privileged_default"' in text
    assert "from nova.privileged import" in Path("src/nova/privileged/a.py").read_text()


def test_a_persons_capabilities(shell: Shell) -> None:
    shell.filters("x: CommandFilter, unheard-of, root")
    shell.write("caps.toml", 'unheard-of = ["CAP_SYS_TIME"]\nnobody = []\n')
    assert shell("convert", "a.filters", "--capabilities", "caps.toml") == 0
    assert "declared  CAP_SYS_TIME" in shell.out
    assert "nobody is neither a command nor an entrypoint here" in shell.err


def test_a_conflict_needs_a_person(shell: Shell) -> None:
    shell.filters(PING)
    shell("convert", "a.filters")
    module = Path("privileged/a.py")
    module.write_text(module.read_text().replace('"-c"', '"-q", "-c"'))
    shell.filters(PING.replace("-c,", "-n, -c,"))
    assert shell("convert", "a.filters", "--check") == 3
    assert shell("convert", "a.filters") == 3
    assert '-    return run(PING, "-q", "-c", count, host)' in shell.err
    assert '+    return run(PING, "-n", "-c", count, host)' in shell.err
    assert "to keep them: --keep a.ping" in shell.err
    assert '"-q"' in module.read_text()
    assert shell("convert", "a.filters", "--keep", "a.ping") == 0
    assert shell("convert", "a.filters", "--check") == 0


def bad(name: str, prepare: Callable[[Shell], list[str]], message: str) -> object:
    return pytest.param(prepare, message, id=name)


def _given(text: str, *options: str) -> Callable[[Shell], list[str]]:
    def prepare(shell: Shell) -> list[str]:
        shell.write("a.filters", text)
        return ["a.filters", *options]

    return prepare


def _given_good(*options: str) -> Callable[[Shell], list[str]]:
    return _given(f"[Filters]\n{PING}\n", *options)


def _foreign_folder(shell: Shell) -> list[str]:
    shell.write("privileged/precious.txt", "precious")
    return _given_good()(shell)


def _foreign_file(shell: Shell) -> list[str]:
    shell.write("privileged", "precious")
    return _given_good()(shell)


def _broken_lock(shell: Shell) -> list[str]:
    shell.write("privileged/privmigrate.lock", "{\n\n]")
    return _given_good()(shell)


def _broken_module(shell: Shell) -> list[str]:
    words = _given_good()(shell)
    main(["convert", *words])
    shell.write("privileged/a.py", "x = (\n")
    return words


def _capabilities(shell: Shell) -> list[str]:
    shell.write("caps.toml", "\nx = 1\n")
    return _given_good("--capabilities", "caps.toml")(shell)


def _undecodable(shell: Shell) -> list[str]:
    (shell.folder / "a.filters").write_bytes(b"[Filters]\nx: CommandFilter, \xff, root\n")
    return ["a.filters"]


def _empty_folder(shell: Shell) -> list[str]:
    (shell.folder / "rootwrap.d").mkdir()
    return ["rootwrap.d"]


def _conf_without_path(shell: Shell) -> list[str]:
    return [shell.write("rootwrap.conf", "[DEFAULT]\nexec_dirs=/bin\n")]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        bad(
            "a missing path",
            lambda _: ["nowhere"],
            "nowhere: error: cannot be read: No such file or directory",
        ),
        bad("no section", _given("x: CommandFilter, x, root\n"), "a.filters:1:"),
        bad("no filters", _given("[Other]\nx: y\n"), "a.filters: error: has no [Filters] section"),
        bad(
            "a broken pattern",
            _given("[Filters]\n\nx: RegExpFilter, x, root, x, (a\n"),
            "a.filters:3:30: error: x: '(a' is no regular expression",
        ),
        bad(
            "a long broken pattern",
            _given(f"[Filters]\nx: RegExpFilter, x, root, x, ({'a' * 9000}\n"),
            f"a.filters:2:30: error: x: '({'a' * 56}...' is no regular expression",
        ),
        bad(
            "a broken pattern for the name",
            _given("[Filters]\nx: ChainingRegExpFilter, x, root, [\n"),
            "a.filters:2:35: error: x: '[' is no regular expression",
        ),
        bad(
            "too few values",
            _given("[Filters]\nx: CommandFilter, x\n"),
            "a.filters:2:1: error: x: CommandFilter needs at least 2 values",
        ),
        bad("undecodable", _undecodable, "a.filters:2"),
        bad("an empty folder", _empty_folder, "rootwrap.d: error: has no filter file"),
        bad("a conf without a path", _conf_without_path, "has no filters_path in [DEFAULT]"),
        bad("a folder that is not ours", _foreign_folder, "privileged: error: is not empty"),
        bad("a file in the place of the folder", _foreign_file, "privileged: error: is no folder"),
        bad("a broken lock", _broken_lock, "privileged/privmigrate.lock:3: error: is no JSON"),
        bad("a broken module", _broken_module, "privileged/a.py:"),
        bad(
            "a keyword", _given_good("--package", "class"), "'class' is no name of a Python package"
        ),
        bad("no name", _given_good("--package", "a..b"), "'' is no name of a Python package"),
        bad("ours", _given_good("--package", "privmigrate.x"), "is the name of another package"),
        bad("the library's", _given_good("--package", "json"), "is the name of another package"),
        bad("capabilities", _capabilities, "caps.toml:2: error: x is no list of capabilities"),
        bad(
            "no capabilities",
            _given_good("--capabilities", "no.toml"),
            "no.toml: error: cannot be read",
        ),
        bad("nothing to keep", _given_good("--keep", "a.b"), "--keep a.b: error: there is no such"),
        bad("nothing to replace", _given_good("--replace", "a.b"), "there is no such entrypoint"),
    ],
)
def test_bad_input_is_said_once_and_nothing_is_written(
    shell: Shell, prepare: Callable[[Shell], list[str]], message: str
) -> None:
    words = prepare(shell)
    shell._capsys.readouterr()
    before = shell.tree()
    assert shell("convert", *words) == 2
    assert shell.out == ""
    assert message in shell.err
    assert shell.err.startswith("privmigrate: ")
    assert "Traceback" not in shell.err
    assert shell.tree() == before


def test_an_unreadable_file_is_said(shell: Shell) -> None:
    """The kernel refuses this one to root too."""
    assert shell("convert", "/proc/self/mem") == 2
    assert "/proc/self/mem: error: cannot be read: Input/output error" in shell.err


def test_a_folder_in_the_place_of_a_file_is_said(shell: Shell) -> None:
    (shell.folder / "rootwrap.conf").mkdir()
    assert shell("convert", "rootwrap.conf") == 2
    assert "rootwrap.conf: error: has no filter file" in shell.err


def command(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "privmigrate", *words],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output="stdout" not in options,
        check=False,
        **options,
    )


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    if name == "convert":
        assert b"examples:" in done.stdout


def test_help_lists_the_commands() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert all(f"  {name} ".encode() in done.stdout for name, _ in COMMANDS)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], b"usage: privmigrate COMMAND"),
        (["conver"], b"'conver' is no command (commands: "),
        (["convert"], b"the following arguments are required: PATH"),
        (["convert", "x", "--runtime", "y"], b"invalid choice: 'y'"),
        (["convert", "x", "--check", "--diff"], b"not allowed with argument"),
    ],
)
def test_wrong_words_are_bad_input(words: list[str], message: bytes) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr


def test_help_imports_no_subcommand() -> None:
    code = (
        "import sys; from privmigrate.cli import main; main(['--help']);"
        "bad = {'argparse', 'libcst', 'typing', 're', 'privmigrate.cli.convert'};"
        "bad &= set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {code}",
        ],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = command(
            "convert", str(SAMPLE / "rootwrap.d"), "--diff",
            stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_an_interrupt_is_no_error(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    def interrupt(_paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("privmigrate.convert.source.read_sources", interrupt)
    assert shell("convert", "x") == 130
    assert shell.err == "privmigrate: interrupted\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals(tmp_path: Path, no_color: str, *, coloured: bool) -> None:
    path = tmp_path / "a.filters"
    path.write_text("[Filters]\nx: CommandFilter, unheard-of, root\n")
    controller, terminal = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "privmigrate", "convert", str(path)],
            env={**os.environ, "PYTHONPATH": str(PROJECT), "NO_COLOR": no_color},
            cwd=tmp_path,
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        text = os.read(controller, 65536)
    finally:
        os.close(controller)
        os.close(terminal)
    assert (b"\033[33m" in text) is coloured


def test_names_that_the_terminal_cannot_show_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.filters"
    path.write_text("[Filters]\nnäme: CommandFilter, x, root\n")
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", "convert", str(path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"n\\xe4me" in done.stdout


def test_data_and_a_diff_are_one_value(shell: Shell) -> None:
    path = shell.filters("ls: CommandFilter, ls, root")
    assert shell(*("convert", path, "--diff", "--json")) == 0
    assert "\n+def ls(" in json.loads(shell.out)["diff"]
