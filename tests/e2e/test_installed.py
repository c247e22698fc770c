"""The wheel and the sdist hold what they should, and what they install works alone."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import Service

pytestmark = pytest.mark.root


def built(service: Service, pattern: str) -> Path:
    (found,) = (service.stage.root / "dist").glob(pattern)
    return found


def test_the_wheel_holds_the_package_and_nothing_else(service: Service) -> None:
    names = zipfile.ZipFile(built(service, "*.whl")).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top.partition("-")[0] for top in tops} == {"privmigrate"}
    assert "privmigrate/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_holds_every_source_and_every_data_file(service: Service) -> None:
    project = Path(__file__).resolve().parents[2]
    names = set(zipfile.ZipFile(built(service, "*.whl")).namelist())
    sources = {
        str(path.relative_to(project))
        for path in (project / "privmigrate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources - names == set()


def test_the_sdist_can_be_built_from(service: Service) -> None:
    with tarfile.open(built(service, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_the_source_tree_is_not_what_is_tested(service: Service) -> None:
    shown = service.stage.run(
        service.stage.python, "-c", "import privmigrate; print(privmigrate.__file__)"
    )
    assert shown.stdout.startswith(str(service.stage.root)), shown.stderr


@pytest.mark.parametrize("command", ["privmigrate", "privmigrate-helper"])
def test_installed_commands_explain_themselves(service: Service, command: str) -> None:
    shown = service.stage.run(service.stage.python.with_name(command), "--help")
    assert shown.returncode == 0
    assert "usage" in shown.stdout.lower()
    assert shown.stderr == ""


def test_oslo_config_finds_the_options(service: Service) -> None:
    generator = service.stage.python.with_name("oslo-config-generator")
    shown = service.stage.run(generator, "--namespace", "privmigrate.privsep")
    assert shown.returncode == 0, shown.stderr
    for option in ("user", "group", "capabilities", "thread_pool_size", "helper_command"):
        assert f"\n#{option} =" in shown.stdout


def test_the_service_user_has_no_other_way_to_root(service: Service) -> None:
    """What makes the other tests here mean something: the user is as unprivileged as it claims."""
    assert service.stage.run("sudo", "-n", "true").returncode != 0
    helper = ("sudo", "-n", "privmigrate-helper")
    refused = service.stage.run(
        *helper, "--privsep_context", "os.system", "--privsep_sock_path", "/x"
    )
    assert refused.returncode != 0
    assert "password is required" in refused.stderr
