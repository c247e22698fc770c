"""Installing on a tree, and leaving no trace of it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.shim.script import render_client

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
PACKAGED = "#!/usr/bin/python3\n# the package's\n"
USER = "nobody"


@pytest.fixture
def image() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-image-", dir="/root"))
    for name in ("usr/bin", "usr/local/bin", "etc/sudoers.d", "etc/cinder", "opt/venv/bin",
                 "var/lib/dpkg"):  # fmt: skip
        (folder / name).mkdir(parents=True)
    (folder / "var/lib/dpkg/status").touch()
    for bindir in ("usr/bin", "opt/venv/bin"):
        for kind in ("rootwrap", "rootwrap-daemon"):
            path = folder / bindir / f"cinder-{kind}"
            path.write_text(PACKAGED)
            path.chmod(0o4755)
            os.utime(path, ns=(10**18, 10**18))
    (folder / "opt/venv/bin/cinder-rootwrap-daemon").unlink()
    (folder / "opt/venv/bin/cinder-rootwrap-daemon").symlink_to("cinder-rootwrap")
    yield folder
    shutil.rmtree(folder)


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file: what it is, whose, and with what in it."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            continue
        key = str(path.relative_to(folder))
        if not key.startswith("var/lib/dpkg"):
            modified = 0 if path.is_symlink() else status.st_mtime_ns
            found[key] = (status.st_mode, status.st_uid, status.st_gid, modified, content)
    return found


def install(image: Path, *words: str) -> int:
    return main(["shim", "install", "--service", "cinder", "--config", "/etc/cinder/rootwrap.conf",
                 "--root", str(image), "--python", "/usr/bin/python3", *words])  # fmt: skip


def _used(folder: Path) -> int:
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


WAYS = {
    "additive": ((), "usr/local/bin"),
    "divert": (("--divert",), "usr/bin"),
    "overlay": (("--overlay", "--bindir", "/opt/venv/bin"), "opt/venv/bin"),
}


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_put_back_byte_for_byte(image: Path, way: str) -> None:
    words, bindir = WAYS[way]
    before = state(image)
    assert install(image, *words) == 0
    client = image / bindir / "cinder-rootwrap"
    assert client.read_text().startswith("#!/usr/bin/python3")
    assert "privmigrate" in client.read_text()
    assert (client.stat().st_mode & 0o7777, client.stat().st_uid) == (0o755, 0)
    assert ((image / "etc/sudoers.d/privmigrate-cinder").exists()) is (way == "additive")
    assert main(["shim", "status", "--root", str(image)]) == 0
    assert install(image, *words) == 2  # it is installed
    assert main(["shim", "uninstall", "--service", "cinder", "--root", str(image)]) == 0
    assert state(image) == before
    assert not (image / "var/lib/privmigrate").exists()
    assert (image / "var/lib").exists()


@pytest.mark.parametrize("way", WAYS)
def test_a_dry_run_writes_nothing(image: Path, way: str) -> None:
    before = state(image)
    assert install(image, *WAYS[way][0], "--dry-run") == 0
    assert state(image) == before


def test_units_are_written_and_are_valid(image: Path) -> None:
    before = state(image)
    assert install(image, "--systemd") == 0
    units = sorted((image / "etc/systemd/system").iterdir())
    assert [unit.name for unit in units] == [
        "cinder-privmigrate.service",
        "cinder-privmigrate.socket",
    ]
    text = units[1].read_text()
    assert "ListenSequentialPacket=/run/privmigrate/%%2Fetc%%2Fcinder%%2Frootwrap.conf.sock" in text
    assert "KillMode=process" in units[0].read_text()
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        done = subprocess.run(
            [analyze, "verify", *units], capture_output=True, text=True, check=False
        )
        assert "privmigrate" not in done.stderr.replace(str(image), ""), done.stderr
    assert main(["shim", "uninstall", "--service", "cinder", "--root", str(image)]) == 0
    assert state(image) == before


def test_a_changed_file_is_not_thrown_away(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(image) == 0
    sudoers = image / "etc/sudoers.d/privmigrate-cinder"
    sudoers.write_text(sudoers.read_text() + "# by hand\n")
    words = ["shim", "uninstall", "--service", "cinder", "--root", str(image)]
    assert main(words) == 2
    assert main(["shim", "status", "--root", str(image)]) == 1
    assert main([*words, "--force"]) == 0
    assert "# by hand" in sudoers.read_text()  # what is not ours any more stays
    said = capsys.readouterr().out
    assert "left as it is: /etc/sudoers.d/privmigrate-cinder, which someone changed" in said
    assert "remove /etc/sudoers.d" not in said


def test_a_changed_diversion_says_where_the_packages_file_is(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(image, "--divert") == 0
    (image / "usr/bin/cinder-rootwrap").write_text("by hand")
    words = ["shim", "uninstall", "--service", "cinder", "--root", str(image), "--force"]
    assert main(words) == 0
    assert "diverted to /usr/bin/cinder-rootwrap.distrib" in capsys.readouterr().out
    assert (image / "usr/bin/cinder-rootwrap").read_text() == "by hand"
    assert (image / "usr/bin/cinder-rootwrap-daemon").read_text() == PACKAGED


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_fails_takes_back_the_others(image: Path, way: str) -> None:
    before = state(image)
    (image / "var/lib/privmigrate").write_text("where the manifest's folder should be")
    between = state(image)
    assert install(image, *WAYS[way][0]) == 2
    assert state(image) == between
    (image / "var/lib/privmigrate").unlink()
    assert state(image) == before


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_leaves_what_stood_there(image: Path, way: str) -> None:
    """The client fits, or does not, or what comes after it does not."""
    before = state(image)
    for size in (60, 110, 115):
        disk = image.with_name(f"{image.name}-full")
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "x", disk], check=True)
        try:
            shutil.copytree(image, disk, symlinks=True, dirs_exist_ok=True)
            (disk / "filler").write_bytes(b"x" * ((200 - size) * 1024 - _used(disk)))
            held = state(disk)
            done = subprocess.run(
                [sys.executable, "-m", "privmigrate", "shim", "install", "--service", "cinder",
                 "--config", "/etc/cinder/rootwrap.conf", "--root", disk,
                 "--python", "/usr/bin/python3", *WAYS[way][0]],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                assert done.stderr.splitlines()[-1].startswith("privmigrate: ")
                assert "No space left on device" in done.stderr
                assert state(disk) == held
        finally:
            subprocess.run(["umount", disk], check=True)
            disk.rmdir()
    assert state(image) == before


BAD_WORDS = (
    ("--service", "../../x"),
    ("--service", "cinder.x"),  # sudo does not read such a file
    ("--service", "a b"),
    ("--user", "ALL"),
    ("--user", "ADMINS"),
    ("--user", "%wheel"),
    ("--user", "x ALL=(ALL) NOPASSWD: ALL\ny"),
    ("--config", "/etc/a b"),
    ("--config", "/etc/*/rootwrap.conf"),
    ("--config", "/etc/a,b"),
    ("--config", "/etc/cinder/../rootwrap.conf"),
    ("--config", "/etc/a\n"),
    ("--bindir", "/usr/local/bin/.."),
    ("--python", "/usr/bin/py thon3"),
    ("--interpreter", "/usr/bin/python3 -c"),
    ("--accept-writable", "/etc/a b"),
)


@pytest.mark.parametrize(("option", "value"), BAD_WORDS)
def test_what_would_mean_something_else_is_refused(
    image: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(image)
    assert install(image, option, value) == 2
    assert capsys.readouterr().err.startswith(f"privmigrate: {option} {value!r}: ")
    assert state(image) == before


@pytest.mark.parametrize("name", ["../../x", "a/b", "cinder.x"])
def test_only_names_of_services_are_looked_up(
    image: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest elsewhere is nobody's, even where it could be read."""
    assert install(image) == 0
    manifests = image / "var/lib/privmigrate/shim"
    (manifests.parent.parent / "x.json").write_bytes((manifests / "cinder.json").read_bytes())
    (manifests / "cinder.x.json").write_bytes((manifests / "cinder.json").read_bytes())
    before = state(image)
    capsys.readouterr()
    for words in (["uninstall"], ["status"]):
        assert main(["shim", *words, "--service", name, "--root", str(image)]) == 2
        assert capsys.readouterr().err.startswith(f"privmigrate: --service {name!r}: only letters")
    assert main(["shim", "status", "--root", str(image)]) == 0
    assert "cinder.x" not in capsys.readouterr().out
    assert state(image) == before


def test_the_configuration_of_an_image_is_read(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(image, "--dry-run") == 0
    assert f"note: /etc/cinder/rootwrap.conf is not in {image} yet" in capsys.readouterr().err
    config = image / "etc/cinder/rootwrap.conf"
    config.write_text("[DEFAULT]\nfilters_path=/etc/cinder/rootwrap.d\n[privmigrate]\nmode=x\n")
    before = state(image)
    assert install(image) == 2
    assert f"{config}:4:1: error: mode cannot be 'x'" in capsys.readouterr().err
    assert state(image) == before


def test_links_do_not_lead_out_of_an_image(image: Path, tmp_path: Path) -> None:
    (image / "etc/sudoers.d").rmdir()
    (image / "etc/sudoers.d").symlink_to(tmp_path)
    before = state(image)
    assert install(image) == 2
    assert state(image) == before
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("place", "code"), [("{path}", 0), ("/../..{path}", 2), ("/out/x", 2)])
def test_a_manifest_of_an_image_is_about_the_image(
    image: Path, tmp_path: Path, place: str, code: int
) -> None:
    assert install(image) == 0
    outside = tmp_path / "x"
    outside.write_text("not the image's")
    (image / "out").symlink_to(tmp_path)
    manifest = image / "var/lib/privmigrate/shim/cinder.json"
    value = json.loads(manifest.read_text())
    digest = hashlib.sha256(outside.read_bytes()).hexdigest()
    value["steps"][0].update(path=place.format(path=outside), sha256=digest)
    manifest.write_text(json.dumps(value))
    words = ["shim", "uninstall", "--service", "cinder", "--root", str(image)]
    assert main(words) == code  # 0: there is no such place in the image
    assert outside.read_text() == "not the image's"


@pytest.mark.parametrize(
    "words",
    [
        ["--overlay"],
        ["--bindir", "relative"],
        ["--overlay", "--bindir", "/opt/none"],
        ["--root", "/nowhere"],
    ],
)
def test_what_cannot_be_is_refused(image: Path, words: list[str]) -> None:
    before = state(image)
    assert install(image, *words) == 2
    assert state(image) == before


@pytest.fixture
def service() -> Iterator[Path]:
    """A configuration in folders of root's own, and sudo for a user who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-service-", dir="/opt"))
    folder.chmod(0o755)
    (folder / "rootwrap.d").mkdir()
    (folder / "rootwrap.d" / "a.filters").write_text(
        "[Filters]\ncat: RegExpFilter, cat, root, cat, /proc/self/status\n"
        "id: CommandFilter, id, root\n"
    )
    config = folder / "rootwrap.conf"
    config.write_text(
        f"[DEFAULT]\nfilters_path={folder}/rootwrap.d\nexec_dirs=/usr/bin,/bin\n"
        "[capabilities]\nid = none\n"
    )
    slow = folder / "slow"
    slow.write_text(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
    )
    client = folder / "x-rootwrap"
    words = [sys.executable, "-I", str(slow), "--as"]
    client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
    client.chmod(0o755)
    sudoers = Path("/etc/sudoers.d/privmigrate-test")
    sudoers.write_text(f"{USER} ALL = (root) NOPASSWD: {client} {config} *\n")
    sudoers.chmod(0o440)
    yield folder
    sudoers.unlink()
    shutil.rmtree(folder)


def test_a_service_calls_it_through_sudo(service: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sudo", "-n", service / "x-rootwrap", service / "rootwrap.conf", *words],
            capture_output=True,
            text=True,
            check=False,
            user=USER,
            extra_groups=[],
        )

    for _ in range(2):
        assert call("id", "-u").stdout == "0\n"
        assert call("id", "x").returncode == 1
        assert call("reboot").returncode == 99
        status = call("cat", "/proc/self/status").stdout
        assert "CapBnd:\t0000000000000004\n" in status or "CapBnd:\t0000000000000000\n" in status


def test_oslo_concurrency_calls_it(service: Path) -> None:
    """What cinder and manila call: processutils with the service's root_helper."""
    helper = f"sudo -n {service / 'x-rootwrap'} {service / 'rootwrap.conf'}"
    source = (
        "from oslo_concurrency import processutils as p\n"
        f"print(p.execute('id', '-u', run_as_root=True, root_helper={helper!r}))\n"
        "try:\n"
        f"    p.execute('reboot', run_as_root=True, root_helper={helper!r})\n"
        "except p.ProcessExecutionError as e:\n"
        "    print(e.exit_code, 'no filter matched' in e.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source],
        capture_output=True,
        text=True,
        check=False,
        user=USER,
        extra_groups=[],
        cwd="/",
    )
    assert done.stdout == "('0\\n', '')\n99 True\n", done.stderr


def test_a_python_without_privmigrate_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\nexec /usr/bin/env python3 -S "$@"\n')
    bare.chmod(0o755)
    words = ("--config", "/etc/x/x.conf", "--python", str(bare), "--interpreter", sys.executable)
    assert main(["shim", "install", "--service", USER, *words, "--dry-run"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"privmigrate: {bare} cannot run privmigrate: ModuleNotFoundError: No module named"
        " 'privmigrate' (--python names the one that has it)"
    )


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_without_root_nothing_is_begun(action: str) -> None:
    words = ["--config", "/etc/x/rootwrap.conf"] if action == "install" else []
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", "shim", action, "--service", "nosuch", *words],
        cwd=PROJECT,
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"privmigrate: shim {action} needs root: it changes what sudo runs")


def test_a_user_who_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "x.conf"
    config.write_text(f"[DEFAULT]\nfilters_path={tmp_path}/d\nexec_dirs=/usr/bin\n")
    (tmp_path / "d").mkdir()
    top = "/" + tmp_path.parts[1]
    words = ("--service", "nosuch", "--config", str(config), "--accept-writable", top)
    assert main(["shim", "install", *words, "--dry-run"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: there is no user nosuch here (--user names the service's)"
    ]
