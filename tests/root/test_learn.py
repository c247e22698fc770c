"""Learning with the real kernel: its own tracing, real users, real restrictions."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privmigrate.errors import InputError
from privmigrate.learn.confine import (
    MAX_OUTPUT,
    Command,
    Confinement,
    find_descendants,
    running,
)
from privmigrate.learn.experiment import Experiment, Learned, Plan
from privmigrate.linux.capabilities import NONE, CapabilitySet, read_sets
from privmigrate.linux.credentials import parse_status
from privmigrate.observe import tracefs as tracefs_module
from privmigrate.observe.sources import SOURCES
from privmigrate.observe.sources.base import Check, Event, Source
from privmigrate.observe.sources.tracepoint import Tracepoint
from privmigrate.observe.tracefs import CannotTrace, Instance, Tracefs, own_name
from privmigrate.observe.watch import Watch, watching

pytestmark = pytest.mark.root

UID = 2000
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
Learn = Callable[..., Learned]


def caps(text: str) -> CapabilitySet:
    return CapabilitySet.parse(text)


def command(*words: str) -> Command:
    executable = shutil.which(words[0], path=ENVIRONMENT["PATH"])
    assert executable is not None, f"{words[0]} is not installed"
    return Command((executable, *words[1:]), ENVIRONMENT)


def instances() -> list[str]:
    with Tracefs.open() as tracefs:
        prefix = own_name().rpartition("_")[0]
        return [name for name in tracefs.instances() if name.startswith(f"{prefix}_")]


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    try:
        with watching() as found:
            yield found
    except CannotTrace as error:
        pytest.skip(str(error))


@pytest.fixture
def learn(watch: Watch) -> Learn:
    def call(*words: str, traced: bool = True, **options: object) -> Learned:
        plan = Plan(command(*words), UID, UID, **options)  # type: ignore[arg-type]
        return Experiment(plan, watch if traced else None).learn(words)

    return call


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can get at."""
    with tempfile.TemporaryDirectory(prefix="privmigrate-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def file(folder: Path) -> Path:
    """A file of somebody who is neither root nor the service."""
    path = folder / "f"
    path.write_text("text")
    os.chown(path, 3000, 3000)
    return path


# -- what is learned ------------------------------------------------------------------------


@pytest.mark.parametrize("traced", [True, False])
def test_watched_or_not_the_set_is_the_same(
    learn: Learn, watch: Watch, file: Path, *, traced: bool
) -> None:
    found = learn(
        *("chown", "1:1", str(file)),
        traced=traced,
        set_up=f"chown 3000:3000 {file}",
        check=f"stat -c %u {file}",
    )
    assert found.source == (watch.source.name if traced else "search")
    assert found.compared == ("exit status", "output", "effect")
    assert found.service is not None
    for proposal in (found.root, found.service):
        assert (proposal.status, proposal.capabilities) == ("verified", caps("CAP_CHOWN"))
        assert proposal.candidate == (caps("CAP_CHOWN") if traced else None)
    assert found.remarks == ()


def test_of_two_of_which_either_will_do_the_weaker_is_proposed(learn: Learn) -> None:
    found = learn("ionice", "-c", "1", "ionice")
    assert found.root.candidate == caps("CAP_SYS_ADMIN")
    assert found.root.capabilities == caps("CAP_SYS_NICE")


def test_a_program_that_looks_at_its_own_capabilities_is_understood(learn: Learn) -> None:
    script = (
        "read -r _ set <<E\n$(grep CapEff /proc/self/status)\nE\ntest $((0x$set >> 12 & 1)) = 1"
    )
    found = learn("sh", "-c", script)
    assert found.root.candidate == NONE
    assert found.root.capabilities == caps("CAP_NET_ADMIN")
    assert "asks nobody for CAP_NET_ADMIN, and needs it" in found.root.remarks


def test_what_it_asks_in_passing_is_left_out(learn: Learn, file: Path) -> None:
    """chmod asks for CAP_FSETID whenever the caller is not in the file's group."""
    found = learn("chmod", "644", str(file), set_up=f"chmod 600 {file}")
    assert found.service is not None
    assert found.service.candidate == caps("CAP_FOWNER CAP_FSETID")
    assert found.service.capabilities == caps("CAP_FOWNER")


def test_exit_status_and_output_deceive_where_the_effect_does_not(learn: Learn, file: Path) -> None:
    words = ("sh", "-c", f"chown 1 {file} 2>/dev/null; exit 0")
    deceived = learn(*words)
    assert deceived.root.capabilities == NONE
    assert any("--check" in remark for remark in deceived.remarks)
    found = learn(*words, set_up=f"chown 3000 {file}", check=f"stat -c %u {file}")
    assert found.root.capabilities == caps("CAP_CHOWN")


def test_a_command_that_refuses_to_work_with_too_much(learn: Learn, folder: Path) -> None:
    """mount(8) wants to drop privileges where its user could become root, and then cannot."""
    found = learn(
        *("mount", "-t", "tmpfs", "none", str(folder)),
        check=f"findmnt -no FSTYPE {folder}",
        clean_up=f"umount {folder} || :",
    )
    assert found.service is not None
    assert found.service.status == "verified"
    assert found.service.capabilities == caps("CAP_SYS_ADMIN")
    assert "refuses to work with CAP_SETUID and CAP_SETGID" in found.service.remarks


def test_what_only_root_can_do_is_said(learn: Learn) -> None:
    found = learn("sh", "-c", "test $(id -u) = 0 || { echo only root >&2; exit 5; }")
    assert (found.root.status, found.root.capabilities) == ("verified", NONE)
    assert found.service is not None
    assert found.service.status == "cannot work"
    assert found.service.remarks[0].endswith("'only root'")


def test_output_that_differs_by_nature_is_not_compared(learn: Learn) -> None:
    found = learn("date", "+%N")
    assert found.root.status == "verified"
    assert found.compared == ("exit status",)
    assert "its output differs from run to run, and was not compared" in found.remarks


def test_once_observes_and_claims_nothing(learn: Learn, file: Path) -> None:
    found = learn("chown", "1:1", str(file), once=True)
    assert (found.root.status, found.root.runs) == ("observed", 1)
    assert found.root.capabilities == caps("CAP_CHOWN")
    assert found.service is None
    assert found.compared == ()


def test_a_failing_command_is_learned_and_that_is_said(learn: Learn) -> None:
    found = learn("cat", "/no/such/file")
    assert (found.code, found.root.status) == (1, "verified")
    assert "as root it exits with 1" in found.remarks[0]


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (("mkdir", "@/d"), {}, "exits with 0 the first time and with 1 the second"),
        (("chown", "1", "@/f"), {"check": "date +%N"}, "--check says one thing after the first"),
        (("chown", "1", "@/f"), {"set_up": "echo no; exit 3"}, "--set-up exits with 3: 'no'"),
        (("chown", "1", "@/f"), {"clean_up": "exit 4"}, "--clean-up exits with 4"),
        (("sleep", "60"), {"timeout": 0.3}, "did not end within 0.3 seconds"),
        (("true",), {"set_up": "sleep 60", "timeout": 0.3}, "'sleep 60' did not end within 0.3"),
    ],
)
def test_surroundings_that_do_not_allow_it(
    learn: Learn,
    tmp_path: Path,
    words: tuple[str, ...],
    options: dict[str, object],
    message: str,
) -> None:
    (tmp_path / "f").touch()
    words = tuple(word.replace("@", str(tmp_path)) for word in words)
    with pytest.raises(InputError, match=message):
        learn(*words, **options)


# -- one run --------------------------------------------------------------------------------


def test_a_confined_command_holds_exactly_its_set() -> None:
    confinement = Confinement(caps("CAP_CHOWN CAP_NET_RAW"), UID, UID)
    with running(command("cat", "/proc/self/status"), confinement, None, 10) as run:
        held = parse_status(run.stdout.decode(), 0)
    expected = confinement.capabilities
    assert (held.effective, held.permitted, held.bounding) == (expected, expected, expected)
    assert held.no_new_privs
    assert str(held.uids) == str(held.gids) == str(UID)
    assert held.groups == ()


def test_without_confinement_it_holds_what_root_holds() -> None:
    with running(command("cat", "/proc/self/status"), None, None, 10) as run:
        held = parse_status(run.stdout.decode(), 0)
    assert held.effective == read_sets().permitted
    assert not held.no_new_privs


def test_it_gets_the_environment_and_nothing_else() -> None:
    with running(command("env"), None, None, 10) as run:
        assert sorted(run.stdout.decode().split()) == [
            f"{name}={value}" for name, value in sorted(ENVIRONMENT.items())
        ]
    with running(command("ls", "/proc/self/fd"), None, None, 10) as run:
        assert run.stdout.split() == [b"0", b"1", b"2", b"3"]  # the last is ls's own


def test_what_is_left_behind_runs_until_the_end_and_not_longer() -> None:
    before = set(find_descendants(os.getpid()))
    started = command("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    with running(started, None, None, 10) as run:
        pid = int(run.stdout)
        assert Path(f"/proc/{pid}/comm").read_text() in {"sleep\n", "setsid\n", "sh\n"}
    assert not Path(f"/proc/{pid}").exists()
    assert set(find_descendants(os.getpid())) <= before


def test_a_command_that_does_not_end_is_ended_with_all_its_children() -> None:
    before = set(find_descendants(os.getpid()))
    started = time.monotonic()
    with running(command("sh", "-c", "sleep 1000; echo late"), None, None, 0.5) as run:
        assert run.timed_out
        assert run.stdout == b""
    assert time.monotonic() - started < 10
    assert set(find_descendants(os.getpid())) <= before


def test_a_command_that_writes_without_end_is_ended() -> None:
    with running(command("yes"), None, None, 60) as run:
        assert run.timed_out
        assert len(run.stdout) == MAX_OUTPUT


def test_a_command_that_cannot_start_is_no_traceback(tmp_path: Path) -> None:
    with running(Command((str(tmp_path),), {}), None, None, 10) as run:
        assert (run.code, run.why) == (None, "Permission denied")


# -- tracing --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_works_or_says_why_it_cannot(source: Source, file: Path) -> None:
    with Tracefs.open() as tracefs:
        why = source.why_not(tracefs)
    if why is not None:
        assert why.startswith("this kernel has no ")
        with pytest.raises(CannotTrace, match="this kernel has no "), watching(source.name):
            pass
        return
    before = instances()
    with (
        watching(source.name) as watch,
        running(command("chown", "1", str(file)), None, watch, 10) as run,
    ):
        assert run.observed is not None
        assert run.observed.granted == caps("CAP_CHOWN")
        assert run.observed.lost == 0
    assert instances() == before


def test_children_are_followed(watch: Watch, file: Path) -> None:
    script = f"(true; (chown 1 {file}); true) & wait"
    with running(command("sh", "-c", script), None, watch, 10) as run:
        assert run.observed is not None
        assert run.observed.granted == caps("CAP_CHOWN")


def test_nobody_elses_checks_are_seen(watch: Watch, file: Path) -> None:
    with subprocess.Popen(["sh", "-c", f"while :; do chown 1 {file}; done"]) as other:
        try:
            with running(command("sleep", "0.3"), None, watch, 10) as run:
                assert run.observed is not None
                assert run.observed.granted == NONE
        finally:
            other.kill()


class Blind(Tracepoint):
    """A source that sets everything up and sees nothing."""

    name = "blind"

    def checks(self, events: list[Event]) -> Iterator[Check]:
        del events
        yield from ()


def test_a_source_that_shows_nothing_is_not_believed() -> None:
    """Else every command would seem to need nothing."""
    with Tracefs.open() as tracefs:
        if why := Tracepoint().why_not(tracefs):
            pytest.skip(why)
    before = instances()
    with (
        pytest.raises(CannotTrace, match="blind: shows nothing"),
        watching("auto", (Blind(),)),
    ):
        pass
    assert instances() == before
    with watching("auto", (Blind(), Tracepoint())) as watch:
        assert watch.source.name == "tracepoint"


def test_the_instance_is_removed_whatever_happens() -> None:
    before = instances()
    during = []

    def fail() -> None:
        with watching():
            during.extend(instances())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert len(during) == len(before) + 1
    assert instances() == before


def test_instances_of_processes_that_ended_are_removed_and_those_of_others_are_not() -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        ticks = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        alive = f"privmigrate_{other.pid}_{ticks}_01234567"
        names = (
            alive,
            f"privmigrate_{other.pid}_1_89abcdef",
            "privmigrate_4194304_1_89abcdef",
            "somebody_1_1",
        )
        try:
            with Tracefs.open() as tracefs:
                for name in names:
                    os.mkdir(f"instances/{name}", dir_fd=tracefs.root)
                try:
                    removed = tracefs.remove_abandoned()
                    assert set(names[1:3]) <= set(removed)
                    left = tracefs.instances()
                    assert alive in left
                    assert "somebody_1_1" in left
                finally:
                    for name in set(names) & set(tracefs.instances()):
                        tracefs.remove(name)
        finally:
            other.kill()


def test_an_instance_in_use_is_not_removed_though_its_name_seems_abandoned() -> None:
    """As that of a process in another PID namespace does."""
    name = "privmigrate_4194304_2_89abcdef"
    with Tracefs.open() as tracefs, Instance(tracefs, name) as instance:
        marker = instance.open_marker()
        try:
            assert name not in tracefs.remove_abandoned()
            assert name in tracefs.instances()
        finally:
            os.close(marker)


def test_without_a_mount_of_its_own_the_usual_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> int:
        raise PermissionError(1, "Operation not permitted", kind)

    monkeypatch.setattr(tracefs_module, "open_detached", refuse)
    with pytest.raises(CannotTrace, match="cannot be reached: Operation not permitted"):
        Tracefs.open((str(tmp_path), str(tmp_path / "no")))
    subprocess.run(["mount", "-t", "tracefs", "none", tmp_path], check=True)
    try:
        with Tracefs.open((str(tmp_path / "no"), str(tmp_path))) as tracefs:
            assert tracefs.has("instances")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
