"""The ``[tool.privmigrate]`` table says what analysis cannot see."""

from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.callsites import Findings, Settings, find_sites
from privmigrate.callsites.settings import read_settings
from privmigrate.callsites.site import Reason
from privmigrate.callsites.text import template_text
from privmigrate.errors import InputError

Analyse = Callable[..., Findings]


def shown(found: Findings) -> list[str]:
    return [template_text(each) for site in found.sites for each in site.templates]


def test_executors_that_are_named(analyse: Analyse) -> None:
    source = """
    from elsewhere import tools
    def go(root, name):
        tools.run('ls', name, run_as_root=True)
        root.do('cat', name)
        tools.run_list(['df', name], run_as_root=True)
    """
    assert analyse(source).sites == ()
    found = analyse(
        source,
        Settings(
            executors=("elsewhere.tools.run",),
            root_executors=("root.do",),
            list_executors=("*.run_list",),
        ),
    )
    assert shown(found) == ["ls {name}", "cat {name}", "df {name}"]


def test_what_is_ignored_and_what_is_local(analyse: Analyse) -> None:
    source = """
    class Driver:
        def go(self):
            self._ssh_execute('ls', run_as_root=True)
    """
    (site,) = analyse(source).sites
    assert site.reasons == (Reason.REMOTE,)
    (site,) = analyse(source, Settings(local=("self._ssh_execute",))).sites
    assert site.reasons == ()
    assert analyse(source, Settings(ignore=("*._ssh_execute",))).sites == ()


def test_the_table_is_found_beside_the_sources_or_above_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.privmigrate]\nroot-executors = ["tools.run"]\nexclude = ["*/old/*"]\n'
    )
    package = tmp_path / "src" / "service"
    (package / "old").mkdir(parents=True)
    (package / "module.py").write_text("import tools\ntools.run('ls')\n")
    (package / "old" / "module.py").write_text("import tools\ntools.run('cat')\n")
    expected = Settings(root_executors=("tools.run",), exclude=("*/old/*",))
    assert read_settings([str(package)]) == expected
    assert shown(find_sites([str(tmp_path / "src")])) == ["ls"]
    assert shown(find_sites([str(package / "module.py")])) == ["ls"]


def test_a_file_without_the_table_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert read_settings([str(tmp_path)]) == Settings()


WRONG = {
    "an unknown key": ('executor = ["x"]', "has no 'executor'"),
    "no list": ('executors = "x"', "executors must be a list of strings"),
    "no strings": ("executors = [1]", "executors must be a list of strings"),
    "no TOML": ("executors = [", "cannot be read"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.privmigrate]\n{text}\n")
    with pytest.raises(InputError, match=r"pyproject\.toml(:2: error)?: ") as error:
        find_sites([str(tmp_path)])
    assert message in str(error.value)


def test_a_wrong_key_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.other]\nlocl = 1\n\n[tool.privmigrate]\nlocal = []\n"locl" = []\n'
    )
    with pytest.raises(InputError, match=r"pyproject\.toml:6: error: .* has no 'locl'"):
        read_settings([str(tmp_path)])


def test_tests_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    call = (
        "from oslo_concurrency import processutils\nprocessutils.execute('a', run_as_root=True)\n"
    )
    for name in ("module.py", "test_module.py", "tests/module.py", "tests/conftest.py"):
        (tmp_path / name).write_text(call)
    found = find_sites([str(tmp_path)], Settings())
    assert [Path(site.span.file).name for site in found.sites] == ["module.py"]
