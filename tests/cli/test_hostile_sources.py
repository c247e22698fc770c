"""Trees that somebody else made: nothing of them is executed, obeyed, waited for or left."""

import ast
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.convert import lock

FILTERS = "[Filters]\nchmod: CommandFilter, chmod, root\nrm: CommandFilter, rm, root\n"
ODD = "\x1b]0;owned\x07"
SOURCE = f"""\
from oslo_concurrency import processutils
open('executed', 'w').close()
# {ODD}

def execute(*cmd, **kwargs):
    return processutils.execute(*cmd, root_helper='sudo svc-rootwrap', **kwargs)

def share(path):
    execute('chmod', 'u+s{ODD}\"\"\"\\n', path, run_as_root=True)
    execute('chmod', '777', path, run_as_root=True)  # {ODD}
    execute('rm', '-f', path, run_as_root=True, cwd='{ODD}')
    execute('{ODD}', path, run_as_root=True)
"""
NAMES = (
    "line\nimport os\nos.mkdir('executed')\n#.py",
    f"{ODD}.py",
    'quote"""\nimport os\n"""x.py',
    "back\\.py",
    "\r.py",
    "sep\u2028import os\u2028.py",
    "sur\udcff.py",
    "folder\nimport os/m.py",
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A service whose files are called as its attacker likes."""
    monkeypatch.chdir(tmp_path)
    for name in ("__init__.py", "plain.py", *NAMES):
        path = Path("svc", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "__init__.py" else SOURCE)
    Path("svc/folder\nimport os/__init__.py").touch()
    filters = Path("etc/svc/rootwrap.d")
    filters.mkdir(parents=True)
    (filters / f"odd{ODD}\nimport os.filters").write_text(FILTERS)
    yield tmp_path
    assert not Path("executed").exists()


def run(*words: str) -> str:
    """What a command says, on whatever stream."""
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", *words],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=100,
    )
    text = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
    assert done.returncode in ({0, 1, 2} if words[0] == "audit" else {0, 1}), text
    assert "Traceback" not in text
    return text


CONVERT = ("convert", "etc/svc/rootwrap.d", "--callsites", "svc", "--package", "svc.made")
REWRITE = ("rewrite", "svc", "--to", "svc.made")


def test_nothing_of_a_name_or_a_text_is_obeyed(tree: Path) -> None:
    """No control character reaches the terminal, and no name a line of its own."""
    said = [run(*CONVERT), run("callsites", "svc"), run("audit", "svc", "etc")]
    said += [run(*CONVERT, "--check"), run(*REWRITE, "--check"), run(*REWRITE)]
    for text in said:
        for line in text.splitlines():
            assert line.isprintable(), ascii(line)
            assert not line.startswith(("import os", "os."))


def test_nothing_of_a_name_or_a_text_is_code_of_the_package(tree: Path) -> None:
    run(*CONVERT)
    made = list(Path("svc/made").glob("*.py"))
    assert len(made) > 1
    for path in made:
        text = path.read_text()
        assert all(line.isprintable() for line in text.split("\n")), ascii(text)
        for node in ast.parse(text).body:
            assert isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign | ast.FunctionDef), (
                ast.unparse(node)
            )
            if isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant)
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] in {"privmigrate", "typing", "svc"}


def test_nothing_of_a_name_is_code_of_a_proof(tree: Path) -> None:
    """A proof has the calls' own expressions, inside of functions, and nothing else of theirs."""
    Path("svc/a b.py").write_text(SOURCE)
    Path("svc/a_b.py").write_text(SOURCE)
    run(*CONVERT)
    run(*REWRITE, "--prove", "proofs")
    made = list(Path("proofs").glob("test_*.py"))
    assert len(made) == len(NAMES) + 3
    for path in made:
        assert path.stem.isidentifier()
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.FunctionDef)
            if isinstance(node, ast.Import):
                assert [each.name.partition(".")[0] for each in node.names] == ["svc"]
            if isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant)


def on_a_terminal(*words: str) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "privmigrate", *words], stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            said += chunk
        process.wait(100)
    os.close(ours)
    return said


@pytest.mark.parametrize("words", [(*CONVERT, "--diff"), (*REWRITE, "--diff")])
def test_a_diff_is_shown_by_a_terminal_and_not_obeyed(tree: Path, words: tuple[str, ...]) -> None:
    run(*CONVERT)
    if words[0] == "convert":
        Path("svc/plain.py").write_text(SOURCE.replace("777", "755"))
        Path("svc/made/files.py").write_text(Path("svc/made/files.py").read_text() + f"# {ODD}\n")
    said = on_a_terminal(*words)
    assert b"\n+" in said
    assert b"\x1b" not in said
    assert b"\x07" not in said


def test_a_diff_for_a_file_is_the_text_itself(tree: Path) -> None:
    run(*CONVERT)
    assert f"777', path, run_as_root=True)  # {ODD}" in run(*REWRITE, "--diff")


def test_a_link_out_of_the_tree_changes_nothing_there(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "other.py"
    outside.write_text(SOURCE)
    Path("svc/link.py").symlink_to(outside)
    Path("svc/inside.py").symlink_to("plain.py")
    run(*CONVERT)
    said = run(*REWRITE)
    assert "svc/link.py: stays as it is: leads to" in said
    assert outside.read_text() == SOURCE
    assert Path("svc/link.py").is_symlink()
    assert Path("svc/plain.py").read_text() != SOURCE


@pytest.mark.parametrize("name", ["privmigrate.lock", "files.py"])
def test_a_pipe_in_the_package_is_not_waited_for(
    tree: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*CONVERT)
    path = Path("svc/made", name)
    path.unlink()
    os.mkfifo(path)
    assert main([*CONVERT]) == 2
    assert main([*REWRITE]) == 2
    assert f"{name}: error: cannot be read: not a regular file" in capsys.readouterr().err


def test_mode_and_owner_go_to_what_was_written_whatever_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write the folder puts a link to another's file in the place of ours."""
    other = tmp_path / "other"
    other.touch(mode=0o600)
    path = tmp_path / "module.py"
    path.write_text("a\n")
    path.chmod(0o666)
    really = os.fsync

    def swap(descriptor: int) -> None:
        really(descriptor)
        for each in tmp_path.glob(".privmigrate-*"):
            if not each.is_symlink():
                each.unlink()
                each.symlink_to(other)

    monkeypatch.setattr(os, "fsync", swap)
    lock.write_sources({path: (b"a\n", b"b\n")})
    assert other.stat().st_mode & 0o777 == 0o600


ODD_LINES = {
    "a comment without an end": "execute('chmod', '777', path, run_as_root=True)  # "
    + "x" * 100_000,
    "calls in calls": f"execute('chmod', '777', {'g(' * 60}path{')' * 60}, run_as_root=True)",
    "a text without an end": f"execute('chmod', '777', path + '{'x' * 5000}', run_as_root=True)",
    "nested formats": "execute('chmod', '777', f'{path!r:>{path}}', run_as_root=True)",
    "many conditions": f"execute('chmod', '777', {'a if a else ' * 60}path, run_as_root=True)",
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_odd_lines_are_rewritten_or_left_and_nothing_else(tree: Path, line: str) -> None:
    head, _ = SOURCE.split("    execute(", 1)
    Path("svc/plain.py").write_text(f"{head}    {line}\n")
    run(*CONVERT)
    run(*REWRITE)
    after = Path("svc/plain.py").read_text()
    assert "svc.made" in after or after == f"{head}    {line}\n"
    ast.parse(after)
