"""``privmigrate sudoers``: sudo itself says what the line that it prints allows."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.cli import main

CONTEXTS = """
from privmigrate.privsep import priv_context
files = priv_context.PrivContext(
    "cinder", cfg_section="x", pypath="cinder.privileged.files", capabilities=[])
lvm = priv_context.PrivContext("cinder", pypath=__name__ + ".lvm", capabilities=[])
"""
HELPER = "/usr/bin/privmigrate-helper"
CONFIG = "/etc/cinder/cinder.conf"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cinder" / "privileged"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").write_text(CONTEXTS)
    (folder / "files.py").write_text("from cinder import privileged\n")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def run(package: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["sudoers", *words])
        return (code, *capsys.readouterr())

    return call


def test_one_line_for_all_contexts(run: Run) -> None:
    words = ("--helper", HELPER, "--config-file", CONFIG, "--config-dir", "/etc/cinder/conf.d")
    code, out, err = run("--user", "cinder", *words, "cinder/privileged")
    assert (code, err) == (0, "")
    assert out == (
        f"cinder ALL=(root) NOPASSWD: {HELPER} ^--config-file /etc/cinder/cinder\\.conf"
        " --config-dir /etc/cinder/conf\\.d --privsep_context cinder\\.privileged\\.(files|lvm)"
        " --privsep_sock_path [a-zA-Z0-9_./-]+$\n"
    )


def test_a_helper_elsewhere_is_put_into_secure_path(run: Run) -> None:
    _, out, _ = run("--user", "cinder", "--helper", "/opt/x/bin/privmigrate-helper", "cinder")
    assert out.splitlines()[0].startswith('Defaults:cinder secure_path="/opt/x/bin:')


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--user", "ALL", "cinder"), "--user ALL: error: is no name of one user"),
        (("--user", "%wheel", "cinder"), "--user %wheel: error: is no name of one user"),
        (("--user", "x", "--helper", "helper", "cinder"), "--helper helper: error: is no absolute"),
        (("--user", "x", "--helper", "/a/../b", "cinder"), "--helper /a/../b: error: is no abs"),
        (("--user", "x", "--config-file", "/a b", "cinder"), "--config-file /a b: error: is no"),
        (("--user", "x", "--config-file", "/a,b", "cinder"), "--config-file /a,b: error: is no"),
        (("--user", "x", "nowhere"), "nowhere: error: cannot be read: No such file or directory"),
        (("--user", "x", "cinder/privileged/files.py"), "files.py: error: has no context"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_sudo_would_read_otherwise_is_refused(
    run: Run, words: tuple[str, ...], why: str
) -> None:
    helper = () if "--helper" in words else ("--helper", HELPER)
    code, out, err = run(*helper, *words)
    assert (code, out) == (2, "")
    assert why in err


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("c = PrivContext('x', pypath=name)\n", "its pypath is not written out"),
        ("c = PrivContext('x')\n", "its pypath is not written out"),
        ("c = PrivContext('x', pypath='a.b|.*')\n", "'a.b|.*' is no dotted name"),
        ("c = PrivContext('x'\n", "is no Python: '(' was never closed"),
        ("PrivContext\0", "is no Python: "),
    ],
)
def test_a_context_that_is_not_understood_is_no_line(
    run: Run, package: Path, source: str, why: str
) -> None:
    (package / "odd.py").write_text(source)
    code, out, err = run("--user", "x", "--helper", HELPER, "cinder")
    assert (code, out) == (2, "")
    assert why in err


@pytest.mark.root
def test_sudo_allows_these_helpers_and_no_others(run: Run, package: Path) -> None:
    """What the service starts is allowed; one option more, or another context, is not."""
    shutil.rmtree(package.parent / "__pycache__", ignore_errors=True)
    words = ("--user", "nobody", "--helper", "/usr/bin/id", "--config-file", CONFIG)
    _, out, _ = run(*words, "cinder/privileged")
    rules = Path(f"/etc/sudoers.d/pm-sudoers-{os.getpid()}")
    rules.write_text(out)
    rules.chmod(0o440)
    try:
        subprocess.run(["visudo", "-cf", rules], check=True, capture_output=True)

        def allows(text: str) -> bool:
            asked = ["sudo", "-l", "-U", "nobody", "/usr/bin/id", *text.split()]
            return subprocess.run(asked, capture_output=True, check=False).returncode == 0

        context = f"--config-file {CONFIG} --privsep_context cinder.privileged.files"
        assert allows(f"{context} --privsep_sock_path /tmp/privsep-a_1/privsep.sock")
        assert not allows(f"{context} --privsep_sock_path /tmp/x --config-file /tmp/x")
        assert not allows(f"{context}x --privsep_sock_path /tmp/x")
        assert not allows(f"--debug {context} --privsep_sock_path /tmp/x")
        assert not allows(f"{context.replace('cinder.conf', 'cinderxconf')} --privsep_sock_path /t")
        assert not allows("")
    finally:
        rules.unlink()
