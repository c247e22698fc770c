"""`mode = learn`: nothing is restricted, and what the kernel granted is written down."""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.errors import InputError
from privmigrate.linux.capabilities import NONE, CapabilitySet, read_sets
from privmigrate.linux.credentials import parse_status
from privmigrate.observe.tracefs import CannotTrace, Tracefs, own_name
from privmigrate.shim import client, learning
from privmigrate.shim.client_api import Client
from privmigrate.shim.learning import Learning, Seen, read_learned
from privmigrate.shim.script import render_client
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
FILTERS = """
sh: CommandFilter, sh, root
id: CommandFilter, id, root
other: CommandFilter, dash, nobody
"""
LEARN = "[privmigrate]\nmode = learn\n"
STATUS = "cat /proc/self/status"


def caps(text: str) -> CapabilitySet:
    return CapabilitySet.parse(text)


class Learner:
    """A configuration that learns, and both commands for it."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.config = str(config)
        for name, module in (("slow", "rootwrap_main"), ("daemon", "rootwrap_daemon_main")):
            (folder / name).write_text(
                f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
                f"from privmigrate.shim.{module} import main; sys.exit(main())\n"
            )
        self.client = folder / "client"
        words = [sys.executable, "-I", str(folder / "slow"), "--as"]
        self.client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
        self.client.chmod(0o755)
        self.daemon_words = [sys.executable, "-I", str(folder / "daemon"), self.config]
        self.daemon = Client(self.daemon_words)
        self.file = folder / "file"
        self.file.touch()

    def run(self, *argv: str) -> str:
        return subprocess.run(
            [self.client, self.config, *argv], stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def lines(self) -> list[dict[str, object]]:
        text = Path(learning.learned_path(self.config)).read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def learner(trusted_dir: Path, write_config: WriteConfig) -> Iterator[Learner]:
    made = Learner(trusted_dir, write_config(FILTERS, LEARN))
    yield made
    made.daemon.close()
    Path(learning.learned_path(made.config)).unlink(missing_ok=True)


@pytest.mark.parametrize("daemon", [False, True], ids=["one-shot", "daemon"])
def test_what_was_granted_is_written_down_and_nothing_is_restricted(
    learner: Learner, capsys: pytest.CaptureFixture[str], *, daemon: bool
) -> None:
    words = ("sh", "-c", f"{STATUS}; chown 4321 {learner.file}")
    out = learner.daemon.execute(words)[1] if daemon else learner.run(*words)
    held = parse_status(out, 0)
    assert held.permitted == held.bounding == read_sets().permitted
    assert learner.file.stat().st_uid == 4321
    assert main(["shim", "learned", "--config", learner.config]) == 0
    # neither the kernel's accounting nor what the shim itself did
    assert capsys.readouterr().out == "[capabilities]\nsh = CAP_CHOWN\n"


def test_each_of_many_at_once_is_learned_apart(learner: Learner) -> None:
    script = f"chown 4321 {learner.file}; sleep 0.2"
    argvs = [("sh", "-c", script), ("id",), ("id", "-u"), ("id", "-g")]
    threads = [threading.Thread(target=learner.daemon.execute, args=(argv,)) for argv in argvs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_learned(learner.config) == {"sh": Seen(caps("CAP_CHOWN")), "id": Seen()}


def test_a_line_is_written_where_it_says_something_new(learner: Learner) -> None:
    for script in ("true", "true", f"chown 1 {learner.file}", f"chown 2 {learner.file}", "true"):
        learner.run("sh", "-c", script)
    assert [line["capabilities"] for line in learner.lines()] == [[], ["CAP_CHOWN"]]
    assert learner.lines()[1]["argv"] == ["/bin/sh", "-c", f"chown 1 {learner.file}"]


@pytest.mark.parametrize("daemon", [False, True], ids=["one-shot", "daemon"])
def test_becoming_another_user_is_not_the_commands_need(learner: Learner, *, daemon: bool) -> None:
    words = ("dash", "-c", "id -u")
    out = learner.daemon.execute(words)[1] if daemon else learner.run(*words)
    assert out == "65534\n"
    assert read_learned(learner.config) == {"other": Seen(NONE)}


def test_a_command_runs_though_nothing_can_be_learned(
    learner: Learner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> Tracefs:
        raise CannotTrace("not on this kernel")

    monkeypatch.setattr(Tracefs, "open", refuse)
    complaints = []
    log = client.Log("x", "")
    monkeypatch.setattr(log, "to_syslog_only", lambda level, text: complaints.append((level, text)))
    with Learning(learner.config, log) as watching:
        watching.keep(client.Command.__new__(client.Command), 0)
    assert complaints == [(client.WARNING, "nothing was learned: not on this kernel")]
    assert main(["shim", "learned", "--config", learner.config]) == 1
    said = capsys.readouterr().err
    assert said == f"nothing was learned about {learner.config}: not on this kernel\n"


def test_no_more_are_watched_at_once_than_the_kernels_memory_allows(learner: Learner) -> None:
    with Tracefs.open() as tracefs:
        others = set(tracefs.instances())
    threads = [
        threading.Thread(target=learner.daemon.execute, args=(("sh", "-c", "sleep 0.5"),))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    most = 0
    own = own_name().partition("_")[0]
    while any(thread.is_alive() for thread in threads):
        with Tracefs.open() as tracefs:
            found = set(tracefs.instances())
            most = max(most, sum(name.startswith(own) for name in found - others))
    assert 1 < most <= 8
    with Tracefs.open() as tracefs:
        assert set(tracefs.instances()) <= others


@pytest.mark.parametrize("line", ["", "no JSON", "[]", '{"filter": "sh"}', '{"capabilities": [3]}'])
def test_a_broken_line_is_named(learner: Learner, line: str) -> None:
    learner.run("id")
    path = Path(learning.learned_path(learner.config))
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError, match=r"jsonl:2: error: not a line of what was learned"):
        read_learned(learner.config)
    assert learner.run("id", "-u") == "0\n"


def test_a_limit_of_the_callers_leaves_no_half_line(learner: Learner) -> None:
    """From then on nothing would be read of what was learned."""
    learner.run("id")
    path = Path(learning.learned_path(learner.config))
    before = path.read_text()
    most = len(before) + 10
    words: list[str | Path] = [learner.client, learner.config, "sh", "-c"]
    subprocess.run(
        [*words, f"chown 1 {learner.file}"],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert path.read_text() == before
    learner.run("sh", "-c", f"chown 2 {learner.file}")
    assert read_learned(learner.config)["sh"] == Seen(caps("CAP_CHOWN"))
