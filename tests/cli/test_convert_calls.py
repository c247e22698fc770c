"""``privmigrate convert --callsites`` as a person meets it."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.test_convert import Shell

FILTERS = """\
chmod: CommandFilter, chmod, root
mount: CommandFilter, mount, root
zfs: CommandFilter, zfs, root
dd: CommandFilter, dd, root"""
UTILS = """\
from oslo_concurrency import processutils


def execute(*cmd, **kwargs):
    return processutils.execute(*cmd, **kwargs)
"""
DRIVER = """\
from service import utils


def publish(path):
    utils.execute('chmod', '777', path, run_as_root=True)


def attach(device, mountpoint):
    utils.execute('mount', '-t', 'ext4', device, mountpoint, run_as_root=True)


def forgotten(path):
    utils.execute('chattr', '+i', path, run_as_root=True)


def whatever(conf):
    utils.execute('zfs', *conf.words, run_as_root=True)
"""


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    made = Shell(tmp_path, capsys)
    made.filters(FILTERS, "rootwrap.d/service.filters")
    made.write("service/__init__.py", "")
    made.write("service/utils.py", UTILS)
    made.write("service/driver.py", DRIVER)
    return made


CONVERT = ("convert", "rootwrap.d", "--callsites", "service")


def test_wide_filters_are_replaced_by_what_their_calls_need(shell: Shell) -> None:
    assert shell(*CONVERT) == 0
    tree = shell.tree()
    assert b"def chmod_777(path: Operand)" in tree["privileged/files.py"]
    assert b"def mount_ext4(" in tree["privileged/filesystems.py"]
    assert (
        "wide filters: 4, of which 2 are replaced by what their calls need, 1 are needed by no "
        "call, 1 stay wide"
    ) in shell.out
    assert "stays: service/driver.py:13 chattr (no-rule: no rule allows it" in shell.out
    assert "stays as wide as it is: service/driver.py:17 (free-words) may use it" in shell.out
    assert "service.filters:5 dd" in shell.out
    assert "a privilege to drop" in shell.out
    assert list(tree) == sorted(tree)
    assert not any(b"def dd(" in data for data in tree.values())


def test_what_no_call_needs_can_be_kept(shell: Shell) -> None:
    assert shell(*CONVERT, "--keep-unreferenced") == 0
    assert b"def dd(" in shell.tree()["privileged/files.py"]
    assert (
        '"options": ["callsites", "keep-unreferenced"]'
        in Path("privileged/privmigrate.lock").read_text()
    )


def test_converting_again_changes_nothing(shell: Shell) -> None:
    shell(*CONVERT)
    before = shell.tree()
    assert shell(*CONVERT) == 0
    assert "is up to date" in shell.err
    assert shell(*CONVERT, "--check") == 0
    assert shell.tree() == before


def test_a_call_that_is_new_is_out_of_date(shell: Shell) -> None:
    shell(*CONVERT)
    shell.write("service/driver.py", DRIVER.replace("'777'", "'700'"))
    assert shell(*CONVERT, "--check") == 1
    assert shell(*CONVERT, "--diff") == 0
    assert "+def chmod_700(path: Operand) -> ExecResult:" in shell.out


def test_a_package_made_of_calls_is_not_checked_without_them(shell: Shell) -> None:
    shell(*CONVERT)
    before = shell.tree()
    for option in ((), ("--check",), ("--diff",)):
        assert shell("convert", "rootwrap.d", *option) == 2
        assert "was made of call sites" in shell.err
    assert shell.tree() == before
    assert shell(*CONVERT, "--keep-unreferenced", "--check") == 1
    assert "was written without --keep-unreferenced" in shell.err


@pytest.mark.parametrize("words", [("--keep-unreferenced",), ("--show", "sites")])
def test_options_about_calls_need_calls(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell("convert", "rootwrap.d", *words) == 2
    assert "needs --callsites PATH" in shell.err


def test_sites_are_shown(shell: Shell) -> None:
    before = shell.tree()
    assert shell(*CONVERT, "--show", "sites") == 0
    sites = json.loads(shell.out)
    assert {site["function"] for site in sites} >= {"publish", "attach", "forgotten", "whatever"}
    assert shell(*CONVERT, "--show", "ops") == 0
    assert any(op["calls"] for op in json.loads(shell.out))
    assert shell.tree() == before


def test_the_report_is_data_too(shell: Shell) -> None:
    assert shell(*CONVERT, "--json") == 0
    data = json.loads(shell.out)
    assert data["wide"] == {"wide filters": 4, "replaced": 2, "unused": 1, "stay wide": 1}
    found = {"calls": 4, "typed": 2, "checked": 0, "through": 0, "wrappers": 0, "stay": 2,
             "replaced": 0}  # fmt: skip
    assert data["call summary"] == found
    by_function = {each["function"]: each for each in data["calls"]}
    assert by_function["publish"]["entrypoint"] == "files.chmod_777"
    assert by_function["publish"]["arguments"] == {"path": "path"}
    assert by_function["forgotten"]["why"] == "no-rule"


def test_an_edit_is_kept(shell: Shell) -> None:
    shell(*CONVERT)
    path = Path("privileged/files.py")
    path.write_text(path.read_text().replace('CHMOD, "777"', 'CHMOD, "0777"'))
    assert shell(*CONVERT) == 0
    assert "files.chmod_777 was edited by hand and is kept" in shell.err
    assert '"0777"' in path.read_text()
    assert shell(*CONVERT, "--replace", "files.chmod_777") == 0
    assert '"0777"' not in path.read_text()


REWRITTEN = """\
import privileged.files
import privileged.filesystems


def publish(path):
    privileged.files.chmod_777(path)


def attach(device, mountpoint):
    privileged.filesystems.mount_ext4(device, mountpoint)
"""


def test_entrypoints_that_replaced_their_calls_stay(shell: Shell) -> None:
    """A call that was rewritten runs no command any more, and needs its entrypoint."""
    shell(*CONVERT)
    before = shell.tree()
    shell.write("service/driver.py", REWRITTEN)
    assert shell(*CONVERT) == 0
    after = shell.tree()
    for name in ("files", "filesystems"):
        assert after[f"privileged/{name}.py"] == before[f"privileged/{name}.py"]
    for context in (b"files_context", b"storage_context"):
        assert context in after["privileged/__init__.py"]
    assert b"CAP_SYS_ADMIN" in after["privileged/__init__.py"]
    assert shell(*CONVERT, "--check") == 0


def test_filters_of_entrypoints_that_replaced_their_calls_are_not_unused(shell: Shell) -> None:
    """They are what the entrypoints came from; dd is needed by nothing."""
    shell(*CONVERT)
    shell.write("service/driver.py", REWRITTEN)
    assert shell(*CONVERT) == 0
    lines = [line.split() for line in shell.out.splitlines()]
    fates = {line[1]: line[3] for line in lines if line[:1] and "filters:" in line[0]}
    assert fates == {"chmod": "called", "mount": "called", "zfs": "unused", "dd": "unused"}
    assert "files.chmod_777, which does, is called" in shell.out
    assert "2 are replaced by what their calls need, 2 are needed by no call" in shell.out
    assert (
        "0 wide; 2 entrypoints stay because they are called; other rules: 2 called, 2 unused"
        in shell.out
    )
    assert shell(*CONVERT, "--json") == 0
    data = json.loads(shell.out)
    assert data["called"] == ["files.chmod_777", "filesystems.mount_ext4"]
    assert (data["summary"]["called"], data["summary"]["unused"]) == (2, 2)


def test_entrypoints_stay_that_are_called_in_the_style_of_hacking(shell: Shell) -> None:
    """As rewrite writes it: the import's name says that it is privileged."""
    shell(*CONVERT)
    before = shell.tree()
    text = REWRITTEN.replace("privileged.files.", "privileged_files.").replace(
        "privileged.filesystems.", "privileged_filesystems."
    )
    shell.write("service/driver.py", text)
    assert shell(*CONVERT) == 0
    assert "files.chmod_777 is kept" not in shell.err
    for name in ("files", "filesystems"):
        assert shell.tree()[f"privileged/{name}.py"] == before[f"privileged/{name}.py"]


def test_what_neither_a_site_nor_a_call_needs_is_kept_and_marked(shell: Shell) -> None:
    shell(*CONVERT)
    shell.write("service/driver.py", REWRITTEN.partition("\n\n\ndef attach")[0])
    assert shell(*CONVERT) == 0
    assert "filesystems.mount_ext4 is kept, though no rule asks for it any more" in shell.err
    assert b"orphan" in shell.tree()["privileged/filesystems.py"]
    assert b"orphan" not in shell.tree()["privileged/files.py"]


def test_a_file_that_is_no_python_is_said(shell: Shell) -> None:
    shell.write("service/old.py", "print 'run_as_root'\n")
    assert shell(*CONVERT) == 0
    assert "service/old.py" in shell.err


def test_where_a_file_is_no_python_no_filter_is_dropped(shell: Shell) -> None:
    """Calls that nobody sees may need it."""
    shell.write("service/old.py", "print 'run_as_root'\n")
    assert shell(*CONVERT) == 0
    assert "filters that no call uses are kept" in shell.err
    assert b"def dd(" in shell.tree()["privileged/files.py"]


@pytest.mark.parametrize("place", ["nowhere", "empty", "service/pipe.py", "service/large.py"])
def test_nothing_is_converted_where_calls_cannot_be_read(shell: Shell, place: str) -> None:
    """It would be a package that lacks what they need."""
    (shell.folder / "empty").mkdir()
    if place.endswith("pipe.py"):
        os.mkfifo(place)
    elif place.endswith("large.py"):
        shell.write(place, "#" * 4_000_001)
    sites = place.partition("/")[0]
    assert shell("convert", "rootwrap.d", "--callsites", sites) == 2
    assert f"{place}: error: " in shell.err
    assert shell.out == ""
    assert not Path("privileged").exists()


def test_the_next_step_is_said_and_works(shell: Shell) -> None:
    package = ("--package", "service.privileged")
    assert shell(*CONVERT, *package) == 0
    said = shell.err.splitlines()[-1]
    assert said == (
        "privmigrate: next: privmigrate rewrite service --to service.privileged"
        " --filters rootwrap.d --diff"
    )
    assert shell(*said.partition("next: privmigrate ")[2].split()) == 0
    assert "+    privileged_files.chmod_777(path)" in shell.out
    shell(*CONVERT, *package)
    assert "next:" not in shell.err


def test_no_next_step_is_said_where_there_is_none(shell: Shell) -> None:
    assert shell("convert", "rootwrap.d") == 0
    assert "next:" not in shell.err
