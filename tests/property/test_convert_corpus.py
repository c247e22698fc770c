"""Every real file, as it was shipped: converts, imports, and leaves no rule out."""

import hashlib
from pathlib import Path

import pytest

from privmigrate.convert import Options, convert, report
from privmigrate.convert.operation import Fate
from privmigrate.convert.place import COMMON
from privmigrate.convert.source import read_sources, relabel
from privmigrate.errors import InputError
from privmigrate.rootwrap.parse import read_filters
from tests.convert.packages import NOTHING, command_of, imported


def distinct(files: list[Path]) -> list[Path]:
    """One of each content."""
    return list({hashlib.sha256(path.read_bytes()).digest(): path for path in files}.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_real_file_becomes_a_package(real_filters: list[Path], tmp_path: Path) -> None:
    converted = 0
    for number, path in enumerate(distinct(real_filters)):
        if read_filters(str(path)).errors:  # rootwrap does not start with it either
            with pytest.raises(InputError, match="section"):
                read_sources([str(path)])
            continue
        sources = read_sources([str(path)])
        rules = relabel(sources.rules, sources.labels)
        package = f"real{number}"
        options = Options(package=package, exec_dirs=sources.exec_dirs)
        result = convert(rules, options, NOTHING)
        found = report.rows(rules, result.ops, result.prefixes, result.outcomes, COMMON)
        assert sorted({row.source.line for row in found}) == sorted(r.span.line for r in rules)
        assert report.counts(found)[Fate.DEAD.value] <= 2, path
        with imported(result, package, tmp_path):
            for op in result.ops:
                assert command_of(package, op).__doc__
        converted += 1
    assert converted > 15
