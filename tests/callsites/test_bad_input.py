"""Whatever the files hold, there is an answer: sites, or a diagnostic with its place."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.callsites import Findings, Settings, find_sites
from privmigrate.callsites.files import MAX_SIZE
from privmigrate.callsites.text import site_json
from privmigrate.diagnostics import Severity
from tests.conftest import PROJECT

Analyse = Callable[..., Findings]
HEAD = "from oslo_concurrency import processutils\n"
CALL = "processutils.execute('ls', run_as_root=True)\n"


def codes(found: Findings) -> list[tuple[str, str]]:
    return [(each.code, each.severity.value) for each in found.diagnostics]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    found = find_sites([str(tmp_path / "none")], Settings())
    assert codes(found) == [("unreadable", "error")]
    assert "No such file" in found.diagnostics[0].message


def test_a_path_with_a_nul(tmp_path: Path) -> None:
    assert codes(find_sites(["a\0b"], Settings())) == [("unreadable", "error")]


def test_a_link_to_itself_and_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "loop.py").symlink_to("loop.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "good.py").write_text(HEAD + CALL)
    found = find_sites([str(tmp_path)], Settings())
    assert codes(found) == [("unreadable", "error")] * 2
    assert len(found.sites) == 1


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(HEAD + CALL)
    (tmp_path / "again.py").hardlink_to(module)
    found = find_sites([str(module), str(tmp_path), str(tmp_path)], Settings())
    assert len(found.sites) == 1


def test_a_folder_that_is_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    found = find_sites([str(tmp_path)], Settings())
    assert found.sites == ()
    if os.geteuid():
        assert codes(found) == [("unreadable", "error")]
    closed.chmod(0o700)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("# run_as_root\n" + "#" * MAX_SIZE)
    assert codes(find_sites([str(tmp_path)], Settings())) == [("too-large", "error")]


BROKEN = {
    "a syntax error": b"def (:\n# run_as_root\n",
    "python 2": b"print 'run_as_root'\n",
    "a nul": b"run_as_root = '\0'\n",
    "no text": b"\xff\xfe run_as_root \x80\n",
    "an unknown encoding": b"# -*- coding: klingon -*-\n# run_as_root\n",
    "deep parentheses": b"run_as_root = " + b"(" * 5000 + b")" * 5000,
    "a deep sum": b"run_as_root = 1" + b" + 1" * 50000,
    "deep attributes": b"run_as_root = a" + b".a" * 20000,
    "deep blocks": b"run_as_root = 1\n" + b"".join(b" " * n + b"if x:\n" for n in range(99)),
    "an open text": b"run_as_root = '''",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_python(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.py").write_bytes(data)
    (tmp_path / "good.py").write_text(HEAD + CALL)
    found = find_sites([str(tmp_path)], Settings())
    assert codes(found) == [("unparsed", "warning")]
    assert found.diagnostics[0].span.file == str(tmp_path / "broken.py")
    assert len(found.sites) == 1


def test_a_file_that_is_no_python_and_does_not_matter_is_not_mentioned(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(b"print 'x'\n")
    assert find_sites([str(tmp_path)], Settings()).diagnostics == ()


def test_warnings_of_the_compiler_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(HEAD + "x = '\\d' is 1\n" + CALL)
    found = find_sites([str(tmp_path)], Settings())
    assert found.diagnostics == ()
    assert len(found.sites) == 1


HARD = {
    "many branches": "".join(f"    if f{n}:\n        cmd += ['{n}']\n" for n in range(300)),
    "many alternatives": "".join(
        f"    if f{n}:\n        cmd = ['{n}']\n    else:\n        cmd = cmd + ['{n}', a]\n"
        for n in range(60)
    ),
    "nested loops": "".join(
        f"{'    ' * (n + 1)}for v{n} in a:\n{'    ' * (n + 2)}cmd.append(v{n})\n" for n in range(18)
    ),
    "doubling": "    x = ['a']\n" + "    x = x + x\n" * 30 + "    cmd = x\n",
    "doubling in a format": "    x = 'a'\n" + "    x = '%s%s' % (x, x)\n" * 30 + "    cmd = [x]\n",
    "doubling in loops": "    for i in a:\n" + "        cmd += cmd\n" * 30,
    "a long chain": "    x0 = a\n" + "".join(f"    x{n + 1} = [*x{n}]\n" for n in range(500)),
    "many tries": "".join(
        f"    try:\n        cmd = ['{n}']\n    except E{n}:\n        cmd.append('x')\n"
        for n in range(80)
    ),
}


@pytest.mark.parametrize("body", HARD.values(), ids=HARD)
def test_time_and_size_stay_bounded(analyse: Analyse, body: str) -> None:
    last = "    processutils.execute(*cmd, run_as_root=True)\n"
    started = time.process_time()
    found = analyse(f"{HEAD}def go(a):\n    cmd = ['x']\n{body}{last}")
    assert time.process_time() - started < 5
    assert found.diagnostics == ()
    (site,) = found.sites
    assert len(site.templates) <= 48
    assert site.resolved or site.reasons


def test_functions_that_call_each_other_stay_bounded(analyse: Analyse) -> None:
    functions = "".join(
        f"def f{n}(*cmd):\n    f{n + 1}('a', *cmd)\n    f{n + 2}('b', *cmd)\n" for n in range(60)
    )
    started = time.process_time()
    found = analyse(f"{HEAD}{functions}def f60(*cmd):\n    {CALL[:-1]}\nf0('x')\n")
    assert time.process_time() - started < 10
    assert found.diagnostics == ()


def test_changed_sources_of_services_never_end_in_a_traceback(tmp_path: Path) -> None:
    sources = sorted((PROJECT / ".cache" / "sources").rglob("*.py"))
    if not sources:
        pytest.skip("no sources: run tools/fetch_sources.py")
    generator = random.Random(20)
    chosen = [path for path in sources if b"run_as_root" in path.read_bytes()]
    module = tmp_path / "module.py"
    parsed = 0
    for path in generator.choices(chosen, k=60):
        lines = path.read_bytes().split(b"\n")
        for _ in range(3):
            place = generator.randrange(len(lines))
            other = generator.randrange(len(lines))
            indent = len(lines[place]) - len(lines[place].lstrip())
            lines[place] = lines[place][:indent] + lines[other].lstrip()
        module.write_bytes(b"\n".join(lines))
        found = find_sites([str(module)], Settings())
        assert all(each.severity is Severity.WARNING for each in found.diagnostics)
        assert all(site_json(site) for site in found.sites)
        parsed += not found.diagnostics
    assert parsed
