"""A person says that an injected executor is local, and takes it back when calls were replaced."""

from pathlib import Path

import pytest

from privmigrate.cli import main

HELPER = """\
class Helper:
    def __init__(self, execute):
        self._execute = execute

    def share(self, path):
        self._execute('chmod', '777', path, run_as_root=True)
"""
FILTERS = "[Filters]\nchmod: CommandFilter, chmod, root\n"
SAID = '[tool.privmigrate]\nlocal-injected = ["svc.helper.Helper._execute"]\n'
CONVERT = ["convert", "svc.filters", "--callsites", "svc", "--package", "svc.privileged"]
REWRITE = ["rewrite", "svc", "--to", "svc.privileged", "--filters", "svc.filters"]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc" / "__init__.py").touch()
    (tmp_path / "svc" / "helper.py").write_text(HELPER)
    (tmp_path / "svc.filters").write_text(FILTERS)
    (tmp_path / "pyproject.toml").write_text(SAID)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_it_the_call_stays(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (service / "pyproject.toml").unlink()
    main(CONVERT)
    assert main(REWRITE) == 0
    assert (service / "svc" / "helper.py").read_text() == HELPER
    assert "(injected)" in capsys.readouterr().out


def test_with_it_the_call_is_replaced_and_taking_it_back_is_noticed(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(CONVERT) == 0
    assert main(REWRITE) == 0
    assert "chmod_777(path)" in (service / "svc" / "helper.py").read_text()
    for command in (CONVERT, REWRITE):
        assert main([*command, "--check"]) == 0
    capsys.readouterr()

    (service / "pyproject.toml").unlink()
    told = "svc.helper.Helper.share calls files.chmod_777, because local-injected"
    for command, codes in ((CONVERT, (3, 3)), (REWRITE, (1, 0))):
        for words, code in zip((["--check"], []), codes, strict=True):
            assert main([*command, *words]) == code
            assert told in capsys.readouterr().err

    (service / "pyproject.toml").write_text(SAID)
    assert main([*CONVERT, "--check"]) == 1
    assert main(CONVERT) == 0
    assert main([*CONVERT, "--check"]) == 0


def test_a_word_that_is_taken_back_in_time_changes_what_is_made(service: Path) -> None:
    assert main(CONVERT) == 0
    (service / "pyproject.toml").unlink()
    assert main([*CONVERT, "--check"]) == 1
    assert main(REWRITE) == 0
    assert (service / "svc" / "helper.py").read_text() == HELPER
