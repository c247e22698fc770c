"""What a message may be: limits, shapes, and nothing that msgpack would rather not refuse."""

import datetime as dt
from collections import OrderedDict

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privmigrate.privsep import messages
from privmigrate.privsep.messages import (
    ANSWER,
    BULK,
    CALL,
    CANCEL,
    DATAGRAM,
    FIELDS,
    HELLO,
    NAMES,
    PARTS,
    REQUEST,
    RESULT,
    Encoder,
    Limits,
    ProtocolError,
    decode,
    decode_parts,
    encode_parts,
    read_lengths,
)
from privmigrate.privsep.sendable import explain_unsendable

TEXT = st.text(st.characters(codec=None), max_size=30).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(
    allow_nan=False
) | TEXT | st.binary(max_size=30)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXT | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=20,
)


def packed(value: object) -> bytes:
    data = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")
    assert isinstance(data, bytes)
    return data


@given(VALUES)
def test_what_is_sent_is_what_arrives(value: object) -> None:
    assert decode(Encoder().encode((RESULT, 0, value))) == (RESULT, 0, value)


@settings(max_examples=40)
@given(VALUES, st.lists(st.binary() | TEXT, min_size=1, max_size=3))
def test_parts_are_put_together_again(value: object, large: list[bytes | str]) -> None:
    grown = tuple(item * (BULK // max(len(item), 1) + 1) for item in large if item)
    message = (RESULT, 0, (value, grown, {"k": grown}))
    head, *parts = encode_parts(message, ANSWER)
    lengths = read_lengths(decode(head), ANSWER)
    assert lengths == tuple(map(len, parts))
    assert len(parts) == 1 + 2 * len(grown)
    assert decode_parts(list(parts), ANSWER) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decode(data)
    except ProtocolError:
        return
    assert message[0] in NAMES


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_in_parts_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decode_parts([data, b"x"], REQUEST)
    except ProtocolError:
        return
    assert message[0] in NAMES


HOSTILE = {
    "nothing": b"",
    "no array": packed(5),
    "an empty array": packed(()),
    "a map that counts like an array": packed({0: CANCEL, 1: 1, 2: 2}),
    "bytes that count like an array": packed(bytes((CANCEL, 1, 2))),
    "an unknown kind": packed((99, 1)),
    "a kind that is no number": packed(("3", 0, "a", (), {})),
    "a kind that cannot be hashed": packed(({}, 0)),
    "a boolean for a number": packed((CANCEL, True, 1)),
    "a field too few": packed((CALL, 0, "a", ())),
    "a field too many": packed((CALL, 0, "a", (), {}, 1)),
    "text for arguments": packed((CALL, 0, "a", "b", {})),
    "bytes for a name": packed((CALL, 0, b"a", (), {})),
    "a float for a version": packed((HELLO, 1.0, 20, False)),
    "trailing bytes": packed((CANCEL, 1, 2)) + b"\x00",
    "two messages": packed((CANCEL, 1, 2)) * 2,
    "a message without its end": packed((CALL, 0, "a", (), {}))[:-1],
    "an extension": packed((CALL, 0, "a", (msgpack.ExtType(5, b"x"),), {})),
    "a part of nothing": packed((CALL, 0, "a", (msgpack.ExtType(1, b"\0\0"),), {})),
    "a timestamp": packed((CALL, 0, "a", (msgpack.Timestamp(1),), {})),
    "a timestamp as a key": packed((CALL, 0, "a", ({msgpack.Timestamp(1): 1},), {})),
    "the never used byte": b"\xc1",
    "an array that claims four billion": b"\xdd\xff\xff\xff\xff",
    "a map that claims four billion": b"\xdf\xff\xff\xff\xff",
    "bytes that claim four billion": b"\xc6\xff\xff\xff\xff",
    "a map as a key": b"\x93\x08\x81\x80\x01\x01",
    "deep arrays": b"\x91" * 60_000,
    "deep maps": b"\x81\x00" * 30_000,
    "more than a datagram": packed((CALL, 0, "a" * DATAGRAM, (), {})),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data) if len(data) <= DATAGRAM else messages.Decoder().decode(len(data))


@pytest.mark.parametrize(
    "lengths",
    [
        (), (1, -1), (1, True), ("1",), (1.5,), (REQUEST.packed + 1,), (1, REQUEST.total),
        (1,) * (REQUEST.parts + 1), (2**63, 2**63),
    ],
    ids=str,
)  # fmt: skip
def test_sizes_are_judged_before_memory_is_used(lengths: tuple[object, ...]) -> None:
    with pytest.raises(ProtocolError):
        read_lengths((PARTS, lengths), REQUEST)


def test_the_number_of_containers_is_limited() -> None:
    """A map of one byte costs 64: a message of empty maps is refused while it is being read."""
    few = Limits(packed=10**6, total=10**6, parts=2, containers=1000)
    data = packed((RESULT, 0, ({},) * 2000))
    with pytest.raises(ProtocolError, match="more than 1000 arrays and maps"):
        decode_parts([data], few)
    assert decode_parts([data], ANSWER)[2] == ({},) * 2000


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([packed((RESULT, 0, None)), b"x"], "not used"),
        ([packed((RESULT, 0, msgpack.ExtType(1, b"\0\1"))), b"x"], "not sent"),
        ([packed((RESULT, 0, (msgpack.ExtType(1, b"\0\0"),) * 2)), b"x"], "not sent"),
        ([packed((RESULT, 0, msgpack.ExtType(3, b"\0\0"))), b"x"], "extension"),
        ([packed((RESULT, 0, msgpack.Timestamp(5)))], "extension"),
    ],
    ids=["unused", "out of order", "twice", "unknown", "timestamp"],
)
def test_parts_are_used_once_and_in_order(parts: list[bytes], why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode_parts(parts, REQUEST)


def test_what_the_other_side_would_refuse_is_not_sent() -> None:
    with pytest.raises(ValueError, match="too many"):
        encode_parts((CALL, 0, "a", (b"x" * REQUEST.total, b"y"), {}), REQUEST)


def test_an_encoder_goes_on_after_a_failure() -> None:
    encoder = Encoder()
    with pytest.raises(TypeError):
        encoder.encode((RESULT, 0, ("x" * 100, {1})))
    assert decode(encoder.encode((RESULT, 0, 5))) == (RESULT, 0, 5)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1}, "v is of type builtins.set"),
        ([1, {"a": dt.date(2020, 1, 1)}], "v[1]['a'] is of type datetime.date"),
        ({"a": (1, 2**64)}, "v['a'][1] is an int of more than 64 bits"),
        ({1, 2}, "v is of type builtins.set"),
        ({(object,): 1}, "v's key[0] is of type builtins.type"),
        (["\ud800"], "v[0] holds half of a character"),
        (deep(600), "v" + "[0]" * 66 + "[0 is nested too deeply"),
    ],
)
def test_what_cannot_be_sent_is_found(value: object, why: str) -> None:
    assert explain_unsendable(value, "v") == why


@pytest.mark.parametrize(
    "value", [bytearray(b"x"), OrderedDict(a=1), deep(400), -(2**63), "\udcff"]
)
def test_what_can_be_sent_is_not_complained_about(value: object) -> None:
    assert explain_unsendable(value, "v") is None
    Encoder().encode((RESULT, 0, value))


def test_every_kind_has_a_name_and_fields() -> None:
    assert set(NAMES) == set(FIELDS)
    assert len(set(NAMES.values())) == len(NAMES)
