"""Rules about rootwrap.conf and who can change what it stands on: the attacks, and who refuses.

The service is nobody here, who also runs oslo.rootwrap: what root would run leaves its mark, and
nothing is run with privilege. What the shim's daemon asks before it believes a path is `trust`;
that it then refuses everything is shown in tests/root/test_shim_services.py.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from privmigrate.audit.engine import load_rules
from privmigrate.audit.gather import gather
from privmigrate.audit.tree import DiskTree
from privmigrate.convert import Options, convert
from privmigrate.convert.source import read_sources
from privmigrate.shim import trust
from tests.audit.illustration import illustrate
from tests.audit.sandbox import NOBODY, SYSTEM_DIRS, Sandbox, sandbox
from tests.convert.packages import NOTHING, command_of, imported, plan, rules_of

RULES = {rule.code: rule for rule in load_rules()}
MARKING = "t: CommandFilter, true, root"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


def found(code: str, text: str) -> bool:
    return bool(list(RULES[code].check(illustrate(text))))


# -- what rootwrap.conf leaves to its caller ---------------------------------------------------


def test_pm133_the_helper_imports_what_its_caller_names(box: Sandbox, tmp_path: Path) -> None:
    conf = box.configure("")
    words = box.words("privsep-helper --privsep_context this.s --privsep_sock_path @/s")
    assert "Beautiful is better" in box.rootwrap(conf, words).stdout
    assert found("PM133", conf.read_text())
    assert converted_programs(MARKING, tmp_path) == {"/usr/bin/true"}


@pytest.mark.parametrize(
    ("code", "exec_dirs"), [("PM403", ""), ("PM404", f"exec_dirs=/none, evil,{SYSTEM_DIRS}\n")]
)
def test_the_program_comes_from_a_folder_of_the_callers(
    code: str, exec_dirs: str, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of PATH where there is no exec_dirs, out of the caller's folder if one is relative."""
    (box.folder / " evil").symlink_to("evil")
    conf = box.configure(MARKING)
    conf.write_text(f"[DEFAULT]\nfilters_path={box.folder}/d\n{exec_dirs}")
    path = os.environ["PATH"] if exec_dirs else f"{box.folder}/evil:{os.environ['PATH']}"
    done = box.rootwrap(conf, ("true",), path=path)
    assert box.mark.exists(), done
    assert found(code, conf.read_text())
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(box.folder)
    dirs = read_sources([str(conf)]).exec_dirs
    assert converted_programs(MARKING, tmp_path, *dirs) <= {"/usr/bin/true", "/bin/true"}


def converted_programs(entries: str, folder: Path, *exec_dirs: str) -> set[str]:
    """What generated entrypoints execute."""
    options = Options(package="attacked", exec_dirs=exec_dirs or tuple(SYSTEM_DIRS.split(",")))
    conversion = convert(rules_of(entries), options, NOTHING)
    with imported(conversion, "attacked", folder):
        planned = (plan(command_of("attacked", op), (), {}) for op in conversion.ops)
        return {one.argv[0] for one in planned if one is not None}


# -- who can change what it stands on ----------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What the service can write to, what it does there, and the path that is not to be believed.

    Attributes:
        open: the path that is the service's; everything else is root's.
        shell: what the service does, in the folder.
        believed: the path that the daemon asks about.
    """

    code: str
    open: str
    shell: str
    believed: str


LINE: Final = "echo 'a: CommandFilter, @/x, root'"
OTHER: Final = (
    f"mkdir -p out/f; (echo '[Filters]'; {LINE}) >out/f/a.filters;"
    " printf '[DEFAULT]\\nfilters_path=@/out/f\\n' >rootwrap.conf"
)
CHANGES: Final = (
    Change("PM411", ".", f"mv rootwrap.conf old && {OTHER}", "rootwrap.conf"),
    Change("PM411", "rootwrap.conf", OTHER, "rootwrap.conf"),
    Change("PM412", "d/a.filters", f"{LINE} >>d/a.filters", "d/a.filters"),
    Change("PM412", "d", f"(echo '[Filters]'; {LINE}) >d/b.filters", "d/b.filters"),
    Change("PM402", ".", f"mkdir later; (echo '[Filters]'; {LINE}) >later/b.filters",
           "later/b.filters"),
    Change("PM413", "own", "cp x own/lvs", "own"),
    Change("PM414", "own/lvs", "cat x >own/lvs", "own/lvs"),
)  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.code} {change.open}")
def test_what_is_the_services_is_not_believed(change: Change) -> None:
    with sandbox("/opt") as box:
        (box.folder / "own").mkdir()
        if change.open == "own/lvs":
            shutil.copy("/bin/true", box.folder / "own/lvs")
        conf = box.configure(
            "l: CommandFilter, lvs, root", exec_dirs="@/own", filters_path="@/d,@/later"
        )
        asked = ("lvs",) if "lvs" in change.shell else (f"{box.folder}/x",)
        believed = str(box.folder / change.believed)
        attack = ["sh", "-c", box.fill(change.shell)]
        box.own(0)
        box.as_nobody(attack)
        box.rootwrap(conf, asked)
        assert not box.mark.exists(), "it works although all is root's"
        assert trust.why_not(believed, ()) is None

        os.chown(box.folder / change.open, NOBODY, NOBODY)
        assert list(RULES[change.code].check(gather(DiskTree("/"), (str(conf),))))
        done = box.as_nobody(attack)
        box.rootwrap(conf, asked)
        assert box.mark.exists(), done
        assert trust.why_not(believed, ()) is not None


def test_pm314_what_lies_beside_the_filters_is_read(box: Sandbox) -> None:
    """Exact mode reads it too, as it has to; what convert makes of it stands under its name."""
    conf = box.configure("l: CommandFilter, lvs, root")
    (box.folder / "d/a.filters.rpmsave").write_text("[Filters]\nc: CommandFilter, cat, root\n")
    assert "secret" in box.rootwrap(conf, box.words("cat @/shadow")).stdout
    assert list(RULES["PM314"].check(gather(DiskTree("/"), (str(conf),))))
    labels = read_sources([str(conf)]).labels.values()
    assert "a.filters.rpmsave" in labels
