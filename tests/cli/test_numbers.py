"""A number that is formatted is the same text after as before: %d cuts off, :d refuses."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from privmigrate.testing import equivalence
from privmigrate.testing.evaluate import Case
from tests.cli.services import Make

FILTERS = "truncate: CommandFilter, truncate, root\n"
FORMS = [
    ("'%dG' % size", "'%d' % size"),
    ("'%iG' % size", "'%d' % size"),
    ("'%(n)dG' % {'n': size}", "'%d' % size"),
    ("'%03dG' % size", "'%03d' % size"),
    ("'%.1fG' % size", "'%.1f' % size"),
    ("f'{size:d}G'", "f'{size:d}'"),
    ("f'{size:03d}G'", "f'{size:03d}'"),
    ("f'{size!r}G'", "f'{size!r}'"),
    ("'{:d}G'.format(size)", "f'{size:d}'"),
    ("'{0:d}G'.format(size)", "f'{size:d}'"),
    ("'{n:d}G'.format(n=size)", "f'{size:d}'"),
    ("'%dG' % (size * 2)", "'%d' % (size * 2)"),
    ("'%dG' % int(size)", "int(size)"),
    ("'%dG' % round(size, 1)", "'%d' % round(size, 1)"),
    ("'%sG' % size", "size"),
]


class Text(str):
    """Text that the proofs' own text, which can be calculated with, does not take the place of."""

    __slots__ = ()


VALUES = [7, 0, 3.7, 0.2, True, False, Decimal("3.7"), float("inf"), Text("7"), Text(), None, [1]]


def _forms(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[..., Any], ...]:
    """What a generated proof compares."""
    found: list[Callable[..., Any]] = []
    monkeypatch.setattr(equivalence, "prove", lambda *forms, **_: found.extend(forms))
    monkeypatch.syspath_prepend(".")
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    test()
    return tuple(found)


@pytest.mark.parametrize(("written", "passed"), FORMS)
def test_a_number_in_a_word_stays_what_it_was(
    written: str,
    passed: str,
    make_service: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = make_service(
        FILTERS,
        sizes=f"""\
        from svc import utils

        def grow(size, path):
            utils.execute('truncate', '-s', {written}, path, run_as_root=True)
        """,
    )
    service.convert()
    assert service.rewrite("--prove", "proofs") == 0
    [line] = [each for each in service.text("sizes").splitlines() if "truncate" in each]
    assert f"({passed}, path)" in line or f"({passed}," in line or f"={passed}" in line, line
    [path] = Path("proofs").glob("test_*sizes.py")
    before, after = _forms(path, monkeypatch)
    case = Case(before, after, "oslo", (0,))
    ran = 0
    for value in VALUES:
        chosen = {"size": value, "path": "/srv/disk"}
        old, new = case.evaluate_before(chosen, 0), case.evaluate_after(chosen, 0)
        if new.refused and old.ran:
            # only what is no word of the kind: nothing that %d makes
            assert not re.fullmatch(r"\d+G", old.ran[0].argv[2]), (value, old)
            continue
        assert [each.argv[1:] for each in old.ran] == [each.argv[1:] for each in new.ran], value
        if not old.ran:
            assert old.outcome == new.outcome, value
        ran += bool(old.ran)
    assert ran >= 2
