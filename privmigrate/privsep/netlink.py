"""Links, addresses and routes by netlink, for `ip`: a module of a context asks by importing this.

pyroute2 does it, and is imported here alone. It is no small thing: 23 MB and 300 modules, against
the 5 ms of one ``ip``. So no daemon has it that does not ask, and where it is not installed nothing
changes: ``ip`` is executed.
"""

import re
import socket
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from privmigrate.privsep.natives.base import LeftToTool

try:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError
except ImportError:
    IPRoute = None

_HIGHEST_PREFIX: Final = {socket.AF_INET: 32, socket.AF_INET6: 128}
_LONGEST_NAME: Final = 15  # IFNAMSIZ
_BOOT: Final = 3  # RTPROT_BOOT, as ip writes
_UNICAST: Final = 1
_SCOPES: Final = {"universe": 0, "link": 253, "host": 254, "nowhere": 255}
_LOOPBACK: Final = "127."
_MTU: Final = re.compile("[0-9]{1,9}")  # what is longer has no place in a request
_KINDS: Final = frozenset({"bridge", "dummy", "ifb"})


class Request(NamedTuple):
    """One request: the method of pyroute2, its verb, the fields, the interface to look up."""

    method: str
    verb: str
    fields: tuple[tuple[str, str | int], ...]
    device: str = ""


def is_there() -> bool:
    """Whether pyroute2 is installed."""
    return IPRoute is not None


def parse(words: tuple[str, ...]) -> Request | None:
    """Read the words behind ``ip``; None for what is left to the tool."""
    if len(words) <= len(("link", "set")) or words[-1] in {"dev", "name"}:
        return None
    parser = _PARSERS.get((_OBJECTS.get(words[0], ""), _VERBS.get(words[1], "")))
    return None if parser is None else parser(_VERBS[words[1]], words[2:])


def perform(request: Request) -> None:
    """Do it in the network namespace of this thread; LeftToTool where the kernel refuses it."""
    fields: dict[str, str | int] = dict(request.fields)
    try:
        with IPRoute() as netlink:
            if request.device:
                found = netlink.link_lookup(ifname=request.device)
                if not found:
                    raise LeftToTool(f"there is no interface {request.device}")
                fields["oif" if request.method == "route" else "index"] = found[0]
            getattr(netlink, request.method)(request.verb, **fields)
    except NetlinkError as error:
        raise LeftToTool(str(error)) from None
    except OSError as error:
        raise LeftToTool(str(error.strerror)) from None


def _link_set(verb: str, words: tuple[str, ...]) -> Request | None:
    """``[dev] NAME`` and what to set."""
    name, *rest = words[1:] if words[0] == "dev" else words
    if words[0] != "dev" and not _is_no_keyword(name):
        return None
    fields: dict[str, str | int] = {}
    while rest:
        word = rest.pop(0)
        if word in {"up", "down"}:
            key, value = "state", word
        elif not rest:
            return None
        elif word == "mtu" and _MTU.fullmatch(rest[0]):
            fields["mtu"] = int(rest.pop(0))
            continue
        elif word == "address" and _is_hardware(rest[0]):
            key, value = "address", rest.pop(0)
        elif word == "name" and _is_name(rest[0]):
            key, value = "ifname", rest.pop(0)
        else:
            return None
        if key in fields:
            return None
        fields[key] = value
    # one thing at a time: ip makes one request of several, and its order is its own
    if not _is_name(name) or len(fields) != 1:
        return None
    return Request("link", verb, tuple(fields.items()), name)


def _link_add(verb: str, words: tuple[str, ...]) -> Request | None:
    """``[name] NAME type KIND``, and for veth ``peer name PEER``."""
    name, *rest = words[1:] if words[0] in {"name", "dev"} else words
    if words[0] not in {"name", "dev"} and not _is_no_keyword(name):
        return None
    fields: tuple[tuple[str, str], ...]
    match rest:
        case ["type", "veth", "peer", "name", peer] if _is_name(peer):
            fields = (("kind", "veth"), ("peer", peer))
        case ["type", kind] if kind in _KINDS:
            fields = (("kind", kind),)
        case _:
            return None
    return Request("link", verb, (("ifname", name), *fields)) if _is_name(name) else None


def _link_delete(_verb: str, words: tuple[str, ...]) -> Request | None:
    name, *rest = words[1:] if words[0] == "dev" else words
    if rest or not _is_name(name) or (words[0] != "dev" and not _is_no_keyword(name)):
        return None
    return Request("link", "del", (), name)


def _address(verb: str, words: tuple[str, ...]) -> Request | None:
    """``ADDRESS[/PREFIX] dev NAME``."""
    match words:
        case (address, "dev", name) if _is_name(name):
            found = _network(address)
        case _:
            return None
    if found is None:
        return None
    family, text, prefix = found
    fields: tuple[tuple[str, str | int], ...] = (
        ("family", int(family)),
        ("address", text),
        ("prefixlen", prefix),
    )
    if verb == "add" and text.startswith(_LOOPBACK):
        fields = (*fields, ("scope", _SCOPES["host"]))
    return Request("addr", verb, fields, name)


def _route(verb: str, words: tuple[str, ...]) -> Request | None:
    """``default|NETWORK [via ADDRESS] [dev NAME]``."""
    target, *rest = words
    via = device = ""
    match rest:
        case ["via", via, "dev", device] | ["dev", device, "via", via]:
            pass
        case ["via", via]:
            pass
        case ["dev", device]:
            pass
        case _:
            return None
    gateway = _network(via) if via else None
    if (via and (gateway is None or "/" in via)) or (device and not _is_name(device)):
        return None
    network = _network(target) if target != "default" else None
    if target != "default" and network is None:
        return None
    family = (network or gateway or (socket.AF_INET, "", 0))[0]
    if gateway is not None and gateway[0] != family:
        return None
    scope = "universe" if family == socket.AF_INET6 or via else "link"
    fields: list[tuple[str, str | int]] = [("family", int(family))]
    fields.append(("dst", f"{network[1]}/{network[2]}" if network else "default"))
    fields += [("gateway", gateway[1])] if gateway else []
    if verb == "del":
        # what is not said here matches any route
        scope = "universe" if family == socket.AF_INET6 else "nowhere"
        fields += [("proto", 0), ("type", 0), ("scope", _SCOPES[scope])]
    else:
        fields += [("proto", _BOOT), ("type", _UNICAST), ("scope", _SCOPES[scope])]
    return Request("route", verb, tuple(fields), device)


def _network(text: str) -> tuple[socket.AddressFamily, str, int] | None:
    """Family, address and length of the prefix."""
    address, slash, prefix = text.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    highest = _HIGHEST_PREFIX[family]
    try:
        socket.inet_pton(family, address)
    except OSError:
        return None
    if not slash:
        return family, address, highest
    if not (prefix.isascii() and prefix.isdigit()) or len(prefix) > len("128"):
        return None
    return (family, address, int(prefix)) if int(prefix) <= highest else None


def _is_name(text: str) -> bool:
    """Whether ip takes this for an interface's name and nothing else."""
    return (
        0 < len(text) <= _LONGEST_NAME
        and text.isascii()
        and text.isprintable()
        and not set(text) & set("/ :%@")
        and not text.startswith("-")
        and text not in {".", ".."}
    )


def _is_no_keyword(text: str) -> bool:
    """Whether ip cannot take a name for something else where nothing says that it is one."""
    return text == "lo" or any(letter.isdigit() for letter in text)


def _is_hardware(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and all(  # noqa: PLR2004 - bytes of an Ethernet address
        len(part) == 2 and set(part.lower()) <= set("0123456789abcdef")  # noqa: PLR2004
        for part in parts
    )


_OBJECTS: Final = {
    **dict.fromkeys(("link", "l"), "link"),
    **dict.fromkeys(("addr", "address", "a"), "addr"),
    **dict.fromkeys(("route", "r", "ro"), "route"),
}
_VERBS: Final = {"set": "set", "add": "add", "replace": "replace", "del": "del", "delete": "del"}
_PARSERS: Final[Mapping[tuple[str, str], Callable[[str, tuple[str, ...]], Request | None]]] = {
    ("link", "set"): _link_set,
    ("link", "add"): _link_add,
    ("link", "del"): _link_delete,
    ("addr", "add"): _address,
    ("addr", "del"): _address,
    ("route", "add"): _route,
    ("route", "replace"): _route,
    ("route", "del"): _route,
}
