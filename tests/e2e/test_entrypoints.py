"""Generated entrypoints of every class, called by the service's user, and what they do.

Each test runs under our runtime through sudo and by fork, and under oslo.privsep through sudo.
Arguments that are refused leave the system as it was: that is looked at, not only the error.
"""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.conftest import EVIL, Driver

pytestmark = pytest.mark.root

IMAGES: Final = Path("/var/lib/sample/images")
REFUSED: Final = 99
NOT_FOUND: Final = 96


@pytest.fixture
def image() -> Iterator[Path]:
    """An image of root's, that the service's user cannot touch."""
    path = IMAGES / "disk.img"
    path.write_bytes(b"x" * 4096)
    path.chmod(0o600)
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def victim() -> Iterator[Path]:
    """A file beside the folder of images, that nothing here may reach."""
    folder = Path("/var/lib/sample/images-evil")
    folder.mkdir()
    path = folder / "victim"
    path.write_text("as it was")
    path.chmod(0o600)
    yield path
    path.unlink()
    folder.rmdir()


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with a name of its own."""
    name = f"pm-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def state(path: Path) -> tuple[int, int, int, bytes]:
    found = path.stat()
    return found.st_mode, found.st_uid, found.st_gid, path.read_bytes()


def refused(driver: Driver, expression: str) -> str:
    """The expression is refused by the daemon as rootwrap would have, and says why."""
    answer = driver.ask(expression)
    assert answer.get("error") == "PrivilegeDenied", answer
    assert answer["exit_code"] == REFUSED
    return str(answer["text"])


def probe(driver: Driver, expression: str) -> dict[str, Any]:
    stdout, _ = driver.value(expression)
    found: dict[str, Any] = json.loads(stdout)
    return found


# RegExpFilter


def test_a_regexp_entrypoint_does_its_work(driver: Driver, image: Path) -> None:
    assert driver.value(f'volume.chmod_image("0640", "{image}")') == ["", ""]
    assert stat.S_IMODE(image.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("4755", "{image}"),
        ("0640\\n", "{image}"),
        ("0640", "{victim}"),
        ("0640", "/var/lib/sample/images/../images-evil/victim"),
        ("0640", "{image}\\0"),
        ("--reference={victim}", "{image}"),
    ],
)
def test_a_regexp_entrypoint_refuses_the_rest(
    driver: Driver, image: Path, victim: Path, mode: str, path: str
) -> None:
    before = state(image), state(victim)
    words = [word.format(image=image, victim=victim) for word in (mode, path)]
    refused(driver, f'volume.chmod_image("{words[0]}", "{words[1]}")')
    assert (state(image), state(victim)) == before


def test_a_value_of_another_type_is_refused(driver: Driver, image: Path) -> None:
    for value in (["0640"], 640.5, None, True, {"a": 1}, b"0640"):
        refused(driver, f'volume.chmod_image({value!r}, "{image}")')
    assert stat.S_IMODE(image.stat().st_mode) == 0o600


def test_keyed_words_are_written_by_the_function(driver: Driver, image: Path) -> None:
    driver.value(f'volume.dd_wipe(of="{image}", bs=512, count="2", conv="notrunc")')
    assert image.read_bytes() == b"\0" * 1024 + b"x" * 3072


def test_keyed_words_cannot_bring_other_keys(driver: Driver, image: Path, victim: Path) -> None:
    before = state(image), state(victim)
    for keywords in (
        f'of="{victim}", bs=512, count=1, conv="notrunc"',
        f'of="{image}", bs="512 if={victim}", count=1, conv="notrunc"',
        f'of="{image}", bs=512, count=-1, conv="notrunc"',
        f'of="{image}", bs=512, count=1, conv="sparse"',
    ):
        refused(driver, f"volume.dd_wipe({keywords})")
    assert (state(image), state(victim)) == before


def test_a_command_that_reads_gives_what_the_user_could_not_read(
    driver: Driver, image: Path
) -> None:
    secret = Path("/var/lib/sample-secret")
    secret.mkdir(mode=0o700)
    try:
        inside = secret / "inside"
        inside.touch()
        call = f'volume.find_inum("{secret}", maxdepth=1, inum={inside.stat().st_ino})'
        stdout, stderr = driver.value("volume.find_inum('/proc', maxdepth=0, inum=0)")
        assert (stdout, stderr) == ("", "")
        assert driver.ask(call)["error"] == "PrivilegeDenied"  # /[^/]*: one component alone
    finally:
        inside.unlink()
        secret.rmdir()


# PathFilter


def test_a_path_entrypoint_does_its_work(driver: Driver, image: Path) -> None:
    driver.value(f'volume.chown_image("12345:54321", "{image}")')
    assert (image.stat().st_uid, image.stat().st_gid) == (12345, 54321)


def test_a_path_may_lead_through_links_that_stay_inside(driver: Driver, image: Path) -> None:
    link = IMAGES / "current"
    link.symlink_to(image.name)
    try:
        driver.value(f'volume.chown_image(12345, "{IMAGES}/../images/./current")')
    finally:
        link.unlink()
    assert image.stat().st_uid == 12345


def test_a_path_cannot_leave_its_folder(driver: Driver, image: Path, victim: Path) -> None:
    before = state(victim)
    link, folder = IMAGES / "link", IMAGES / "folder"
    link.symlink_to(victim)
    folder.symlink_to(victim.parent)
    try:
        for path in (
            victim,
            f"{IMAGES}/../images-evil/victim",
            f"{IMAGES}-evil/victim",
            link,
            folder / "victim",
            "images/disk.img",
            "",
        ):
            refused(driver, f'volume.chown_image("12345", "{path}")')
    finally:
        link.unlink()
        folder.unlink()
    assert state(victim) == before


def test_an_operand_is_never_an_option(driver: Driver, image: Path, victim: Path) -> None:
    for owner in ("-R", f"--reference={victim}", "-h", "--from=0"):
        refused(driver, f'volume.chown_image("{owner}", "{image}")')
    assert image.stat().st_uid == 0


# EnvFilter


def test_variables_are_passed_and_fixed_ones_are_pinned(driver: Driver) -> None:
    seen = probe(driver, 'probe.pm_probe(pm_tag="blue")')
    assert seen["environment"]["PM_TAG"] == "blue"
    assert seen["environment"]["LC_ALL"] == "C"
    assert "PM_COLOUR" not in seen["environment"]


def test_only_variables_that_a_filter_lists_reach_the_command(driver: Driver) -> None:
    seen = probe(driver, 'probe.pm_probe(pm_colour="1", pm_shape="2")')
    assert seen["environment"]["PM_SHAPE"] == "2"
    assert EVIL.keys() & seen["environment"].keys() == set()
    assert refused(driver, 'probe.pm_probe(pm_tag="1\\0")')


def test_a_combination_that_no_filter_allows_is_refused(driver: Driver) -> None:
    for variables in ("", 'pm_colour="2"', 'pm_tag="1", pm_colour="2"', 'pm_shape="1", pm_tag="2"'):
        refused(driver, f"probe.pm_probe({variables})")


def test_variables_have_their_effect(driver: Driver, image: Path) -> None:
    sizes = [
        driver.value(f'volume.du("--apparent-size", "{image}"{rest})')[0].split()[0]
        for rest in ("", ', block_size="512"', ', posixly_correct="1"')
    ]
    assert sizes == ["4", "8", "8"]


# KillFilter


@pytest.fixture
def follower() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/usr/bin/tail", "-f", "/dev/null"], user="nobody")
    yield process
    process.kill()
    process.wait()


def test_a_process_of_another_user_is_signalled(
    driver: Driver, follower: subprocess.Popen[bytes]
) -> None:
    driver.value(f'process.kill_follower({follower.pid}, "TERM")')
    assert follower.wait(10) == -signal.SIGTERM


def test_a_process_that_runs_something_else_is_not(driver: Driver) -> None:
    other = subprocess.Popen(["/usr/bin/sleep", "60"])
    try:
        assert "/usr/bin/tail" in refused(driver, f'process.kill_follower({other.pid}, "TERM")')
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_other_signals_and_groups_are_refused(
    driver: Driver, follower: subprocess.Popen[bytes]
) -> None:
    for arguments in (
        f'{follower.pid}, "KILL"',
        f'{follower.pid}, "15"',
        '0, "TERM"',
        '-1, "TERM"',
        f'-{follower.pid}, "TERM"',
        '"", "TERM"',
        f'"{follower.pid} 1", "TERM"',
    ):
        refused(driver, f"process.kill_follower({arguments})")
    assert follower.poll() is None


def test_a_process_that_is_gone_is_what_kill_says(driver: Driver) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    answer = driver.ask(f'process.kill_follower({gone.pid}, "TERM")')
    assert answer["exit_code"] == 1
    assert "No such process" in answer["stderr"]


# ReadFileFilter


def test_a_file_that_only_root_can_read(driver: Driver) -> None:
    key = Path("/etc/sample/backend.key")
    key.write_text("s3cret\n")
    key.chmod(0o600)
    assert driver.value("volume.read_backend_key()") == ["s3cret\n", ""]
    key.unlink()
    answer = driver.ask("volume.read_backend_key()")
    assert answer["exit_code"] == 1
    assert "No such file or directory" in answer["stderr"]


# IpFilter, IpNetnsExecFilter


def test_ip_makes_what_it_is_asked_for(driver: Driver) -> None:
    name = f"pm-made-{os.getpid()}"
    driver.value(f'network.ip("netns", "add", "{name}")')
    try:
        assert Path("/run/netns", name).exists()
    finally:
        driver.value(f'network.ip("netns", "delete", "{name}")')
    assert not Path("/run/netns", name).exists()


def test_ip_runs_no_other_command(driver: Driver, namespace: str, victim: Path) -> None:
    for verb in ("exec", "exe", "e"):
        refused(driver, f'network.ip("netns", "{verb}", "{namespace}", "rm", "{victim}")')
    assert victim.exists()


def test_a_command_runs_inside_a_namespace(driver: Driver, namespace: str) -> None:
    seen = probe(driver, f'probe.probe("inside", under=types.Netns("{namespace}"))')
    assert seen["netns"] != str(Path("/proc/self/ns/net").readlink())
    assert seen["interfaces"] == ["lo"]
    assert seen["argv"] == ["inside"]


def test_what_is_changed_inside_stays_inside(driver: Driver, namespace: str) -> None:
    inside = ["ip", "netns", "exec", namespace, "cat", "/proc/sys/net/ipv4/ip_forward"]
    outside = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    for value in ("1", "0"):
        call = f'network.sysctl_forward(ip_forward="{value}", under=types.Netns("{namespace}"))'
        assert driver.value(call)[0] == f"net.ipv4.ip_forward = {value}\n"
        assert (
            subprocess.run(inside, capture_output=True, check=True).stdout.decode() == f"{value}\n"
        )
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == outside


def test_a_namespace_is_a_name(driver: Driver) -> None:
    for name in ("../../proc/1/ns/net", "", "-all", "a/b", ".."):
        refused(driver, f'probe.probe("inside", under=types.Netns("{name}"))')


def test_a_namespace_that_is_not_there_is_what_ip_says(driver: Driver) -> None:
    answer = driver.ask('probe.probe("inside", under=types.Netns("pm-nowhere"))')
    assert answer["exit_code"] == 255
    assert "No such file or directory" in answer["stderr"]


# ChainingRegExpFilter


def test_a_prefix_has_its_effect_on_the_command(driver: Driver) -> None:
    assert probe(driver, 'probe.probe("x", under=common.Ionice("3"))')["priority"] == "idle"
    best = probe(driver, 'probe.probe("x", under=common.Ionice("2", "6"))')
    assert best["priority"] == "best-effort: prio 6"


def test_a_prefix_is_checked_too(driver: Driver) -> None:
    for words in ('"4"', '"2", "8"', '"3", "0 -p 1"', '"-3"'):
        refused(driver, f'probe.probe("x", under=common.Ionice({words}))')


def test_only_a_prefix_may_stand_in_front(driver: Driver, victim: Path) -> None:
    for value in (f'("rm", "{victim}")', '"ionice"', '["x", "y", "Netns"]', "7"):
        refused(driver, f'probe.probe("x", under={value})')
    assert victim.exists()


# CommandFilter


def test_a_wide_entrypoint_does_what_the_filter_let_through(driver: Driver) -> None:
    target = Path("/var/lib/sample/mounted")
    target.mkdir()
    try:
        driver.value(f'volume.mount("-t", "tmpfs", "-o", "size=64k", "none", "{target}")')
        assert target.is_mount()
        driver.value(f'volume.umount("{target}")')
        assert not target.is_mount()
    finally:
        subprocess.run(["umount", target], capture_output=True, check=False)
        target.rmdir()


# run_as


def test_another_user_is_who_it_runs_as(driver: Driver) -> None:
    nobody = 65534
    assert driver.value('process.guest_identity("-u")') == [f"{nobody}\n", ""]
    seen = probe(driver, "probe.probe_nobody()")
    assert seen["uid"] == [nobody] * 3
    assert seen["gid"] == [nobody] * 3
    assert set(seen["groups"]) <= {nobody}
    assert seen["capabilities"]["CapEff"] == 0


# what callers see


@pytest.mark.parametrize("kind", ["code", "signal"])
def test_an_unchanged_handler_catches_a_failure(driver: Driver, kind: str) -> None:
    expected = 7 if kind == "code" else 128 + 7
    seen = driver.value(f'handled(lambda: probe.leave("{kind}", 7))')
    assert (seen["handled"], seen["stdout"], seen["stderr"]) == (expected, "out\n", "err\n")
    assert seen["cmd"].endswith(f"pm-leave {kind} 7")


def test_an_unchanged_handler_catches_a_missing_executable(driver: Driver) -> None:
    seen = driver.value("handled(lambda: probe.absent())")
    assert seen["handled"] == NOT_FOUND


def test_an_unchanged_handler_catches_a_refusal(driver: Driver) -> None:
    seen = driver.value('handled(lambda: probe.leave("both", 7))')
    assert seen["handled"] == REFUSED


def test_a_command_starts_in_a_plain_state(driver: Driver) -> None:
    seen = probe(driver, 'probe.probe("x")')
    assert seen["cwd"] == "/"
    assert seen["umask"] == 0o022
    assert seen["uid"] == [0, 0, 0]
    assert seen["environment"]["PATH"].split(":")[0].startswith("/usr")
