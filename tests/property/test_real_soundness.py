"""What real services get runs nothing but what their filters allow and their calls run.

The values are a hostile client's. `python -m tools.attack_entrypoints` does the same for longer,
and for every project.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.attack_entrypoints import Service, excess, service
from tools.rewrite_sources import CACHE, SOURCES

PROJECTS = ("glance_store", "os-brick", "manila")
EXAMPLES = 6  # calls of each entrypoint for one seed


@pytest.fixture(scope="module", params=PROJECTS)
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    if not (CACHE / "sources" / SOURCES[request.param][0]).is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    with service(request.param, tmp_path_factory.mktemp("attacked")) as found:
        yield found


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64 - 1))
def test_a_hostile_client_gets_nothing_more(attacked: Service, seed: int) -> None:
    assert attacked.attack(Random(seed), EXAMPLES).problems == ()


def test_every_entrypoint_takes_some_of_the_calls(attacked: Service) -> None:
    """Otherwise the judges would have nothing to judge."""
    accepted = attacked.attack(Random(1), 40).accepted
    assert [name for name, count in accepted.items() if not count] == []


def test_no_entrypoint_declares_more_than_its_context_has(attacked: Service) -> None:
    assert list(excess(attacked)) == []


FAULTS: dict[str, tuple[str, str, str]] = {
    "an operand that may be an option": (
        "import Operand\n",
        "import Argument as Operand\n",
        "no call runs ['umount', '-",
    ),
    "a word more": ("run(UMOUNT, mountpoint)", 'run(UMOUNT, "x", mountpoint)', "no call runs"),
    "another command": ("run(UMOUNT, ", "run(Executable('rm'), ", "oslo.rootwrap denies"),
    "another user": (
        "run(UMOUNT, mountpoint",
        'run(UMOUNT, mountpoint, user="nobody"',
        "as nobody",
    ),
    "two commands": (
        "return run(UMOUNT, ",
        "return [run(UMOUNT, mountpoint)] and run(UMOUNT, ",
        "2 commands",
    ),
}


@pytest.mark.parametrize(("before", "after", "why"), FAULTS.values(), ids=FAULTS)
def test_the_judges_see_a_fault(tmp_path: Path, before: str, after: str, why: str) -> None:
    if not (CACHE / "sources" / SOURCES["glance_store"][0]).is_dir():
        pytest.skip("no sources: run tools/fetch_sources.py")
    with service("glance_store", tmp_path, lambda text: text.replace(before, after)) as found:
        assert why in " ".join(found.attack(Random(1), 60).problems)
