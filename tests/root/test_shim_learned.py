"""What was learned limits the shim's commands: after what a person says, before what is known."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.learn.table import MARK
from privmigrate.linux.capabilities import every
from privmigrate.shim.client_api import Client
from tests.root.test_shim_learning import Learner
from tests.shim.conftest import EXEC_DIRS, WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = pytest.mark.root

FILTERS = "x: CommandFilter, changer, root\nother: CommandFilter, changer2, nobody\n"
ROW = """
[[learned]]
argv = ["changer", "1", "f"]
words = []
root_status = "STATUS"
root = ["CAP_FOWNER"]
service_status = "not exercised"
service = []
kernel = "6.18"
source = "tracepoint"
remarks = []
"""
VERIFIED = f"{MARK}\n{ROW.replace('STATUS', 'verified')}"
DECLARED = 'changer = ["CAP_KILL"]\n'


class Site:
    """A program that no table knows, a configuration, and a file of what was learned."""

    def __init__(self, folder: Path, write: WriteConfig) -> None:
        (folder / "bin").mkdir()
        for name in ("changer", "changer2"):
            shutil.copy("/bin/chown", folder / "bin" / name)
        self.program = str(folder / "bin" / "changer")
        self.table = folder / "learned.toml"
        self._dirs = f"{folder}/bin,{EXEC_DIRS}"
        self._write = write
        self.configure()
        self.both = Learner(folder, folder / "rootwrap.conf")
        self.file = str(self.both.file)

    def configure(self, options: str = "", after: str = "", *, learned: bool = True) -> str:
        named = f"learned = {self.table}\n" if learned else ""
        text = f"[privmigrate]\n{named}{options}\n{after}"
        return str(self._write(FILTERS, text, exec_dirs=self._dirs))

    def run(self) -> subprocess.CompletedProcess[str]:
        words = [str(self.both.client), self.both.config, "changer", "4321", self.file]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def status(self, capsys: pytest.CaptureFixture[str], name: str = "x") -> tuple[list[str], str]:
        capsys.readouterr()
        main(["shim", "status", "--config", self.both.config, "--json"])
        (entry,) = json.loads(capsys.readouterr().out)
        (found,) = [each for each in entry["filters"] if each["name"] == name]
        return found["capabilities"], found["because"]


@pytest.fixture
def site(trusted_dir: Path, write_config: WriteConfig) -> Site:
    return Site(trusted_dir, write_config)


def test_what_learn_has_verified_is_what_the_command_holds(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.configure(learned=False)
    assert site.status(capsys)[1] == "unknown"
    words = ["--output", str(site.table), "--set-up", f"/bin/chown 1 {site.file}"]
    words += ["--check", f"stat -c %u {site.file}", "--", site.program, "4321", site.file]
    assert main(["learn", "--repeatable", *words]) == 0
    site.configure()
    assert site.status(capsys) == (["CAP_CHOWN"], "learned here, any form of changer")
    assert site.run().returncode == 0
    assert Path(site.file).stat().st_uid == 4321


def test_status_names_the_filters_without_limits(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.configure(learned=False)
    main(["shim", "status", "--config", site.both.config])
    out = capsys.readouterr().out
    assert "    3 of 3 filters run with everything: x other privsep-helper\n" in out
    assert f"limit them: privmigrate learn --filters {site.both.config} --from LOG" in out
    site.configure(after="[capabilities]\nx = none\nother = none\nprivsep-helper = none\n")
    site.table.touch()
    main(["shim", "status", "--config", site.both.config])
    assert "everything" not in capsys.readouterr().out


def test_an_edit_of_the_table_counts_for_the_next_command(site: Site) -> None:
    client = Client([*site.both.daemon_words])
    site.table.write_text('changer = ["CAP_CHOWN"]\n')
    assert site.run().returncode == 0
    assert client.execute(["changer", "1", site.file])[0] == 0
    site.table.write_text("changer = []\n")
    done = site.run()
    assert (done.returncode, "Operation not permitted" in done.stderr) == (1, True)
    status, _, err = client.execute(["changer", "2", site.file])
    assert (status, "Operation not permitted" in err) == (1, True)
    client.close()


@pytest.mark.parametrize(
    ("table", "after", "expected"),
    [
        (
            DECLARED + VERIFIED,
            "[capabilities]\nx = CAP_CHOWN\n",
            (["CAP_CHOWN"], "[capabilities]"),
        ),
        (
            DECLARED + VERIFIED,
            "",
            (["CAP_KILL"], "declared in TABLE"),
        ),
        (VERIFIED, "", (["CAP_FOWNER"], "learned here, any form of changer")),
        (ROW.replace("STATUS", "observed"), "", (None, "unknown")),
        (ROW.replace("STATUS", "unstable"), "", (None, "unknown")),
    ],
)
def test_who_counts_before_whom(
    site: Site,
    capsys: pytest.CaptureFixture[str],
    table: str,
    after: str,
    expected: tuple[list[str] | None, str],
) -> None:
    site.table.write_text(table)
    site.configure(after=after)
    capabilities, because = site.status(capsys)
    assert because == expected[1].replace("TABLE", str(site.table))
    assert capabilities == (list(every().names) if expected[0] is None else expected[0])


def test_a_command_of_another_user_gets_nothing_by_a_row(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.table.write_text('changer2 = ["CAP_CHOWN"]\n')
    assert site.status(capsys, "other")[0] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("changer = [", "is no TOML"),
        ('changer = ["CAP_NONSENSE"]\n', "CAP_NONSENSE"),
        ("[[learned]]\n", "root_status is no text"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_table_runs_nothing(site: Site, text: str | None, why: str) -> None:
    if text is not None:
        site.table.write_text(text)
    done = site.run()
    assert done.returncode == 97
    assert str(site.table) in done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_that_others_can_write_is_not_believed(site: Site) -> None:
    site.table.write_text('changer = ["CAP_CHOWN"]\n')
    assert site.run().returncode == 0
    site.table.chmod(0o666)
    done = site.run()
    assert done.returncode == 97
    assert f"{site.table} is writable by everyone" in done.stderr


def test_the_path_of_the_table_is_absolute(site: Site) -> None:
    site.configure("learned = learned.toml", learned=False)
    done = site.run()
    assert (done.returncode, "an absolute path" in done.stderr) == (97, True)
