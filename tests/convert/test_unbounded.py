"""Commands without a set: what none bounds, and of which no source says what they need."""

import pytest

from privmigrate.convert.place import UNVERIFIED
from tests.convert.packages import converted


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("s: RegExpFilter, bash, root, bash, -c, id", "what bash needs is not bounded (sh(1)"),
        ("m: CommandFilter, mmcrfileset, root", "root authority, and ssh to every node"),
        ("r: CommandFilter, raidcom, root", "what raidcom needs is not known (Hitachi Command"),
        ("n: RegExpFilter, nice, root, nice, sh, -c, id", "what sh needs is not known"),
    ],
)
def test_they_go_where_nothing_is_claimed(entry: str, why: str) -> None:
    (op,) = converted(entry).ops
    assert (op.context, op.capabilities) == (UNVERIFIED, None)
    assert why in " ".join(op.remarks)
