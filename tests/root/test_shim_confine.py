"""What commands hold when the shim runs them, as the kernel shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.shim.script import render_client

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
STATUS = "cat /proc/self/status"
FILTERS = """[Filters]
sh: CommandFilter, sh, root
other: CommandFilter, dash, nobody
chain: ChainingRegExpFilter, nice, root, nice, -n, \\d+
env: EnvFilter, env, root, A=, sh
wide: CommandFilter, bash, root
"""
TABLE = """
[capabilities]
sh = CAP_NET_ADMIN CAP_CHOWN
chain = CAP_SYS_NICE
other = none
env = none
"""


@pytest.fixture
def shim(tmp_path_factory: pytest.TempPathFactory) -> "Shim":
    return Shim(Path(str(tmp_path_factory.mktemp("shim"))))


class Shim:
    """An installed client; the folders above are accepted, being pytest's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "d").mkdir()
        (folder / "d" / "a.filters").write_text(FILTERS)
        slow = folder / "slow"
        slow.write_text(
            f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
        )
        words = [sys.executable, "-I", str(slow), "--accept", "/tmp", "--as"]
        self.client = folder / "client"
        self.client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
        self.client.chmod(0o755)

    def status(self, *argv: str, options: str = "", table: str = TABLE) -> dict[str, str]:
        config = self.folder / "rootwrap.conf"
        config.write_text(
            f"[DEFAULT]\nfilters_path={self.folder}/d\nexec_dirs=/sbin,/usr/sbin,/bin,/usr/bin\n"
            f"[privmigrate]\n{options}\n{table}"
        )
        done = subprocess.run(
            [self.client, config, *argv], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)


def held(status: dict[str, str]) -> list[CapabilitySet]:
    return [CapabilitySet(int(status[name], 16)) for name in ("CapPrm", "CapEff", "CapBnd")]


def test_a_command_holds_what_its_filter_gives_and_can_never_hold_more(shim: Shim) -> None:
    given = CapabilitySet.of(Capability.CAP_NET_ADMIN, Capability.CAP_CHOWN)
    status = shim.status("sh", "-c", STATUS)
    assert held(status) == [given] * 3
    assert status["NoNewPrivs"] == "1"


def test_a_chain_holds_what_both_filters_give(shim: Shim) -> None:
    given = CapabilitySet.of(
        Capability.CAP_NET_ADMIN, Capability.CAP_CHOWN, Capability.CAP_SYS_NICE
    )
    assert held(shim.status("nice", "-n", "1", "sh", "-c", STATUS)) == [given] * 3


def test_a_command_of_another_user_holds_nothing(shim: Shim) -> None:
    status = shim.status("dash", "-c", STATUS)
    assert held(status) == [CapabilitySet()] * 3
    assert status["Uid"].split() == ["65534"] * 4
    assert status["Gid"].split() == ["0"] * 4


def test_none_is_none(shim: Shim) -> None:
    assert held(shim.status("env", "A=1", "sh", "-c", STATUS)) == [CapabilitySet()] * 3


def own() -> dict[str, str]:
    text = Path("/proc/self/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.mark.parametrize("options", ["capabilities = all", "mode = off"])
def test_the_escapes_leave_everything(shim: Shim, options: str) -> None:
    status = shim.status("sh", "-c", STATUS, options=options)
    assert held(status) == held(own())
    assert status["NoNewPrivs"] == own()["NoNewPrivs"]


def test_what_nobody_knows_gets_what_is_configured_for_it(shim: Shim) -> None:
    assert held(shim.status("bash", "-c", STATUS)) == held(own())
    status = shim.status("bash", "-c", STATUS, options="unknown = CAP_KILL")
    assert held(status) == [CapabilitySet.of(Capability.CAP_KILL)] * 3


def test_setuid_programs_may_be_allowed_within_the_set(shim: Shim) -> None:
    status = shim.status("sh", "-c", STATUS, options="setuid_programs = yes")
    assert status["NoNewPrivs"] == own()["NoNewPrivs"]
    assert len(held(status)[2]) == 2


@pytest.mark.parametrize(
    ("options", "table"),
    [
        ("mode = loud", ""),
        ("no_such = 1", ""),
        ("unknown = CAP_NONSENSE", ""),
        ("", "[capabilities]\nshh = none\n"),
        ("", "[execution]\nsh = maybe\n"),
    ],
)
def test_a_mistake_in_our_sections_is_refused(shim: Shim, options: str, table: str) -> None:
    with pytest.raises(AssertionError, match="error: "):
        shim.status("sh", "-c", STATUS, options=options, table=table)
