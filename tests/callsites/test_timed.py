"""Limits of a command's time: known where the executor is os-brick's, and strange elsewhere."""

from pathlib import Path

from privmigrate.callsites import Settings, Site, find_sites
from privmigrate.callsites.site import Reason

EXECUTOR = """
class Executor:
    def __init__(self, execute=None):
        self.__execute = execute
    def _execute(self, *args, **kwargs):
        return self.__execute(*args, **kwargs)
"""
DRIVER = """
from {package} import executor
class Driver(executor.Executor):
    def flush(self, path):
        self._execute('blockdev', '--flushbufs', path, run_as_root=True, {options})
"""


def found(folder: Path, package: str, options: str) -> Site:
    """The call of a driver whose executor is this package's."""
    where = folder / package
    where.mkdir(parents=True)
    (where / "__init__.py").touch()
    (where / "executor.py").write_text(EXECUTOR)
    (where / "driver.py").write_text(DRIVER.format(package=package, options=options))
    sites = find_sites([str(where)], Settings()).sites
    (site,) = (each for each in sites if each.function == "Driver.flush")
    return site


def test_os_bricks_executor_has_them(tmp_path: Path) -> None:
    options = "attempts=3, timeout=300, interval=10, backoff_rate=2, raise_timeout=False"
    site = found(tmp_path / "theirs", "os_brick", options)
    assert site.timed
    assert site.reasons == ()
    assert site.typable
    other = found(tmp_path / "others", "service", options)
    assert not other.timed
    assert other.reasons == (Reason.OPTIONS,)


def test_what_it_has_besides_them_is_strange(tmp_path: Path) -> None:
    assert found(tmp_path, "os_brick", "timeout=5, signal=9").reasons == (Reason.OPTIONS,)
