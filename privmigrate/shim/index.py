"""Makes the index that `client` decides by, of a rootwrap.conf and its filters.

The file: 8 digits with the size of the header, the header, the places of the buckets, the buckets.
A bucket holds the rules of the keys that fall into it: the words that a rule can be about, or for
rules whose first word is a pattern how many words it takes. So a decision reads what it needs,
whatever the number of filters. Texts are separated by NUL, RS and US, which no filter may contain.

In the header stand the signatures of all files that were read, of every folder on the way to
them, and of what of privmigrate itself counts: an index that differs in any is made anew.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.errors import InputError, Refused
from privmigrate.linux.reading import read_regular
from privmigrate.privsep import knowledge
from privmigrate.privsep.knowledge import granted
from privmigrate.privsep.knowledge.declared import NOTHING_DECLARED, Declared, read_declared
from privmigrate.rootwrap import words
from privmigrate.rootwrap.config import RootwrapConfig, parse_config
from privmigrate.rootwrap.parse import Parsed, read_filters_path
from privmigrate.rootwrap.policy import PRIVSEP_HELPER
from privmigrate.rootwrap.rule import Status
from privmigrate.rootwrap.settings import Settings, check_settings, parse_settings
from privmigrate.rootwrap.words import is_word
from privmigrate.shim import client, plan, trust
from privmigrate.shim.patterns import encode_pattern
from privmigrate.shim.plan import Planned

# A file that changed this shortly before it was read may change again under the same signature.
_SETTLED_NS: Final = 50_000_000
_ATTEMPTS: Final = 3
_SEPARATORS: Final = frozenset((client.FIELD, client.RECORD, client.PART))
_FIXED_WORDS: Final = {"K": "kill", "S": "kill", "F": "cat", "I": "ip", "N": "ip"}
# What decides besides the configuration: another release may know better.
OURS: Final = (
    __file__,
    plan.__file__,
    granted.__file__,
    words.__file__,
    client.__file__,
    knowledge.__file__,
    os.path.join(os.path.dirname(knowledge.__file__), "commands.csv"),  # noqa: PTH118, PTH120
)


def own_signatures() -> tuple[str, ...]:
    """Of the files of ours that count: whether an upgrade has replaced them."""
    return _signatures(tuple(("F", path) for path in OURS))


@dataclass(frozen=True, slots=True)
class Built:
    """An index, what it was made of, and whether it may be kept."""

    data: bytes
    config: RootwrapConfig
    settings: Settings
    plans: tuple[Planned, ...]
    parsed: Parsed
    keep: bool

    @property
    def unlimited(self) -> tuple[str, ...]:
        """The filters whose commands hold everything though the mode is to limit them."""
        if self.settings.mode != "enforce":
            return ()
        return tuple(plan.rule.name for plan in self.plans if plan.capabilities is None)

    @property
    def warning(self) -> str:
        """What a log should say of these; nothing where there are none."""
        names = self.unlimited
        if not names:
            return ""
        return f"{len(names)} of {len(self.plans)} filters run with everything: {' '.join(names)}"


@dataclass(frozen=True, slots=True)
class Source:
    """A rootwrap.conf, for whom it is read, and folders about which nobody is asked."""

    path: str
    environ: Mapping[str, str]
    accepted: tuple[str, ...] = ()


def build(source: Source) -> Built:
    """Make an index; raise InputError where oslo-rootwrap would not start.

    Raise Refused with the reasons where others than root could change what counts.
    """
    for _ in range(_ATTEMPTS):
        begin = time.time_ns()
        watched = _watched(source)
        before = _signatures(watched)
        built = _build(source, before)
        if _signatures(_watched(source)) == before:
            changed = (_changed_ns(path) for kind, path in watched if kind == "F")
            return replace(built, keep=max(changed) < begin - _SETTLED_NS)
    return built


def _watched(source: Source) -> tuple[tuple[str, str], ...]:
    """What an index depends on: files and folders of filters (F), folders on the way (T)."""
    config, settings = read_config(source)
    files = {source.path, settings.learned, *OURS}
    for folder in config.filters_path:
        files.add(folder)
        files.update(trust.entries(folder))
    steps = {step for path in (*files, *config.exec_dirs) for step in trust.steps(path)}
    return (*(("F", path) for path in sorted(files)), *(("T", path) for path in sorted(steps)))


def _signatures(watched: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(kind + path + client.RECORD + client.sign(path, kind) for kind, path in watched)


def _changed_ns(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns  # noqa: PTH116 - pathlib costs 5 ms
    except OSError:
        return 0


def read_config(source: Source) -> tuple[RootwrapConfig, Settings]:
    """Read rootwrap.conf alone; raise InputError."""
    try:
        data = read_regular(source.path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{source.path}: error: cannot be read: {why} (name the service's rootwrap.conf)"
        ) from None
    config = parse_config(data, source.path, source.environ)
    return config, parse_settings(data, source.path)


def _build(source: Source, signatures: tuple[str, ...]) -> Built:
    config, settings = read_config(source)
    parsed = read_filters_path(config.filters_path)
    if parsed.errors:
        raise InputError(*map(str, parsed.errors))
    if os.geteuid() == 0:
        paths = (source.path, *config.filters_path, *(p for f in config.filters_path
                                                     for p in trust.entries(f)))  # fmt: skip
        folders = (folder for folder in config.exec_dirs if folder.startswith("/"))
        reasons = trust.reasons((*paths, settings.learned, *folders), source.accepted)
        if reasons:
            raise Refused("; ".join(reasons))
    rules = (*parsed.live, PRIVSEP_HELPER)
    check_settings(settings, config, {rule.name for rule in rules})
    given = plan.Given(settings, config, source.accepted, _read_learned(settings))
    plans = tuple(plan.make(rule, given) for rule in rules)
    skipped = [rule for rule in parsed.rules if rule.status is Status.UNKNOWN_CLASS]
    header = (
        client.MAGIC,
        client.sre_id(),
        "" if config.exec_dirs_given else "+" + source.environ.get("PATH", ""),
        client.PART.join(config.exec_dirs),
        str(config.rlimit_nofile),
        f"{config.syslog_log_facility} {config.syslog_log_level}" if config.use_syslog else "",
        settings.audit if config.use_syslog and settings.audit != "no" else "",
        client.PART.join(
            f"Skipping unknown filter class ({rule.filter_class}) specified in filter definitions"
            for rule in skipped
        ),
    )
    whole = "1" if settings.strict or settings.mode == "learn" else ""
    tail = (client.PART.join(signatures), client.PART.join(source.accepted), whole)
    data = _layout(header, plans, tail)
    return Built(data, config, settings, plans, parsed, keep=False)


def _read_learned(settings: Settings) -> Declared:
    if not settings.learned_given and not os.path.lexists(settings.learned):
        return NOTHING_DECLARED
    return read_declared(settings.learned)


def _layout(header: Sequence[str], plans: Sequence[Planned], tail: Sequence[str]) -> bytes:
    records = [_record(position, planned) for position, planned in enumerate(plans)]
    keyed: defaultdict[str, list[int]] = defaultdict(list)
    for position, planned in enumerate(plans):
        for key in _keys(planned):
            keyed[key].append(position)
    number = max(8, 1 << len(keyed).bit_length())
    buckets: list[set[int]] = [set() for _ in range(number)]
    for key, positions in keyed.items():
        buckets[client.hash_key(key) % number].update(positions)
    fields = (*header, "", str(number), *tail)
    head = client.FIELD.join(fields).encode("utf-8", "surrogateescape")
    offset = client.SLOT + len(head) + client.SLOT * number
    table, body = bytearray(), bytearray()
    for bucket in buckets:
        chunk = client.RECORD.join(records[position] for position in sorted(bucket)).encode()
        table += offset.to_bytes(5, "big") + len(chunk).to_bytes(3, "big")
        body += chunk
        offset += len(chunk)
    return b"%08d" % len(head) + head + bytes(table) + bytes(body)


def _record(position: int, planned: Planned) -> str:
    args = planned.args
    if planned.kind in {"R", "G"}:
        args = tuple(encode_pattern(pattern) for pattern in args)
    mask = "all" if planned.capabilities is None else f"{planned.capabilities.mask:x}"
    fields = (
        str(position),
        planned.kind,
        planned.rule.name,
        planned.exec_path,
        planned.run_as,
        mask + ("+" if planned.setuid and mask != "all" else ""),
        planned.execution,
        planned.why_not,
    )
    for text in (*fields, *planned.args):
        if not _SEPARATORS.isdisjoint(text):
            raise InputError(f"{planned.rule.span}: error: control characters in {text!r}")
    return client.FIELD.join((*fields, *args))


def _keys(planned: Planned) -> Iterator[str]:
    """The keys under which `client.Index.candidates` looks for the rule."""
    match planned.kind:
        case "R" | "G":
            first = planned.args[0] if planned.args else ""
            if planned.args and is_word(first):
                yield first
            elif planned.kind == "G":
                yield client.PART
            elif planned.args:
                yield client.PART + str(len(planned.args))
        case "E":
            yield client.PART + "="
        case "C" | "P" | "H":
            yield planned.exec_path
            yield planned.exec_path.rpartition("/")[2]
        case kind:
            yield _FIXED_WORDS[kind]


def store(built: Built, config: str) -> None:
    """Keep an index for the clients to come; what cannot be kept is made again every time."""
    if not built.keep or os.geteuid():
        return
    path = client.index_path(config)
    temporary = f"{path}.{os.getpid()}"
    try:
        make_folder()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(built.data)
        os.rename(temporary, path)  # noqa: PTH104
    except OSError:
        _remove(temporary)


def make_folder() -> None:
    """Make the folder of indexes and sockets, if it is not there; raise OSError."""
    if not os.path.isdir(client.INDEX_DIR):  # noqa: PTH112 - as above
        os.mkdir(client.INDEX_DIR, 0o755)  # noqa: PTH102
        os.chmod(client.INDEX_DIR, 0o755)  # noqa: PTH101, S103 - whatever the umask


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except OSError:
        return
