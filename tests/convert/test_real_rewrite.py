"""Real services are rewritten, compile, lint and prove; running it again changes nothing."""

from pathlib import Path

import pytest

from privmigrate.convert.document import Unreadable, read
from privmigrate.convert.rewrite import Changes, apply
from tools.rewrite_sources import CACHE, SOURCES, rewritten

# How many calls at least are replaced, and how many of them at least are proven to do the same.
EXPECTED = {"glance_store": (3, 3), "os-brick": (72, 69)}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_service_is_rewritten(name: str, tmp_path: Path) -> None:
    if not (CACHE / "sources" / SOURCES[name][0]).is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    replaced, proven = EXPECTED[name]
    found = rewritten(name, tmp_path)
    done = found.summary["typed"] + found.summary["checked"] + found.summary["through"]
    assert done >= replaced
    assert done + found.summary["left"] == found.summary["sites"]
    assert found.proven >= proven
    assert found.broken == ()
    assert found.findings == ()
    assert found.again == 0
    assert found.summary["typed"] > found.summary["checked"]
    assert sum(found.left.values()) >= found.summary["left"]


def test_what_is_not_changed_is_the_same_to_the_byte() -> None:
    """Some files of the services, taken apart and put together again."""
    files = sorted((CACHE / "sources").rglob("*.py"))[::200]
    if not files:
        pytest.skip("no sources: run tools/fetch_sources.py")
    read_files = 0
    for path in files:
        data = path.read_bytes()
        try:
            document = read(str(path), data)
        except Unreadable:
            continue
        read_files += 1
        assert apply(document, Changes({})) == data
    assert read_files > len(files) * 0.9
