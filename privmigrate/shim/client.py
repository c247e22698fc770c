"""What `sudo cinder-rootwrap rootwrap.conf COMMAND` runs: decide, confine, run, exit as rootwrap.

Alone in its file and made for `python3 -I -S`: it imports what is built into the interpreter and
nothing of ours, so that a command costs hardly more than an interpreter's start. It decides by an
index of the filters (`index.py` writes it), of which it reads the header and the few rules that
can be about the command. Where there is no index, or it is older than any file it was made from,
or the command needs more than stands here, `Slow` hands over to `rootwrap_main.py`.

The filters are asked as oslo.rootwrap 7 asks them, in its order and with its side effects; the
tests hold this file against oslo.rootwrap itself.
"""

# ruff: noqa: PLR2004, SLF001, T201, TRY301

import _signal  # type: ignore[import-not-found]

# what `re` compiles to: the index holds its code, and `import re` takes 5 ms
import _sre  # type: ignore[import-not-found]
import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence
    from re import Pattern

MAGIC = "privmigrate shim index 1"
FIELD, RECORD, PART = "\0", "\x1e", "\x1f"
INDEX_DIR = "/run/privmigrate"
SLOT = 8  # bytes of one bucket's place in the file: 5 of offset, 3 of size
FIRST_READ = 1 << 15
EXIT_NO_EXECUTABLE, EXIT_BAD_CONFIG, EXIT_NO_COMMAND, EXIT_UNAUTHORIZED = 96, 97, 98, 99
EXIT_FAILED = 1
SIGNAL_BASE = 128
SI_KERNEL = 0x80
INFO, WARNING, ERROR = 20, 30, 40
SYSLOG = {INFO: 6, WARNING: 4, ERROR: 3}
NOTICE = 5
LONGEST_LINE, LONGEST_ARGV = 1 << 16, 1 << 15  # bytes; a datagram of 200 kB is never delivered
NETNS = ("net", "netn", "netns")
EXEC = ("e", "ex", "exe", "exec")
CHAINS = "HNG"  # ChainingFilter, IpNetnsExecFilter, ChainingRegExpFilter
POSITION, KIND, NAME, EXEC_PATH, RUN_AS, CAPABILITIES, EXECUTION, WHY_NOT, ARGS = range(9)
FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM")
SECRET_WORDS = ("password", "passwd", "secret", "token", "passphrase", "auth_key", "credential")


class Slow(Exception):  # noqa: N818 - an answer, not an error
    """The index cannot answer: the whole of privmigrate has to."""


class Quit(Exception):  # noqa: N818 - the same
    """End with this status after this message on standard error; `logged` goes to syslog too."""

    def __init__(self, status: int, message: str, *, logged: bool = True) -> None:
        super().__init__(status, message)
        self.status, self.message, self.logged = status, message, logged


# -- the index -----------------------------------------------------------------------------------


def sre_id() -> str:
    """Which interpreter's compiled patterns can be used by this one."""
    return f"{_sre.MAGIC} {_sre.CODESIZE} {sys.hexversion}"


def index_path(config: str) -> str:
    """Where the index of a configuration lies; two paths to one file have two."""
    if not config.startswith("/"):
        config = f"{posix.getcwd()}/{config}"
    return f"{INDEX_DIR}/{config.replace('%', '%25').replace('/', '%2F')}.index"


def socket_path(config: str, *, everywhere: bool = False) -> str:
    """Where the daemon of a configuration listens: one for each mount namespace, or systemd's."""
    name = index_path(config).removesuffix(".index")
    if everywhere:
        return f"{name}.sock"
    return f"{name}.{posix.stat('/proc/self/ns/mnt').st_ino}.sock"


def sign(path: str, kind: str) -> str:
    """What has to be as when the index was made; of a folder on the way, who may change it (T)."""
    try:
        found = posix.stat(path)
    except OSError:
        return "-"
    whose = f"{found.st_dev} {found.st_ino} {found.st_mode} {found.st_uid} {found.st_gid}"
    if kind == "T":
        return f"{whose} +" if found.st_mode & 0o020 and has_access_list(path) else whose
    return f"{whose} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def hash_key(key: str) -> int:
    """Spread keys over buckets, the same in every process (`hash` is not)."""
    value = 5381
    for byte in key.encode("utf-8", "surrogatepass"):
        value = (value * 33 ^ byte) & 0xFFFFFFFF
    return value


class Index:
    """An index, read piece by piece from a file or held in memory."""

    def __init__(self, data: bytes, fd: int = -1) -> None:
        self.data, self.fd = data, fd
        size = int(data[:SLOT])
        fields = self.piece(SLOT, size).decode("utf-8", "surrogateescape").split(FIELD)
        if fields[0] != MAGIC:
            raise Slow
        self.compiled = fields[1] == sre_id()
        self.path, self.exec_dirs = fields[2], fields[3].split(PART) if fields[3] else []
        self.rlimit_nofile, self.syslog, self.audit = int(fields[4]), fields[5], fields[6] == "1"
        self.warnings = fields[7].split(PART) if fields[7] else []
        self.socket, self.buckets, self.signatures = fields[8], int(fields[9]), fields[10]
        self.accepted = fields[11].split(PART) if fields[11] else []
        self.whole = fields[12] == "1"  # strict mode and learning need more than an index
        self.table = SLOT + size
        self.rules: dict[int, list[list[str]]] = {}
        self.patterns: dict[str, Pattern[str]] = {}

    def piece(self, offset: int, size: int) -> bytes:
        """Some bytes, from what was read first where they are in it."""
        end = offset + size
        if end <= len(self.data) or self.fd < 0:
            return self.data[offset:end]
        return posix.pread(self.fd, size, offset)

    def is_fresh(self, path: str) -> bool:
        """Whether every file and folder is as it was, and PATH where the filters go by it."""
        if self.path and self.path != "+" + path:
            return False
        for line in self.signatures.split(PART):
            name, _, expected = line[1:].rpartition(RECORD)
            if sign(name, line[:1]) != expected:
                return False
        return True

    def bucket(self, key: str) -> list[list[str]]:
        """The rules of a key, and of others that share its bucket."""
        number = hash_key(key) % self.buckets
        if number not in self.rules:
            place = self.piece(self.table + SLOT * number, SLOT)
            size = int.from_bytes(place[5:], "big")
            text = self.piece(int.from_bytes(place[:5], "big"), size).decode("utf-8")
            self.rules[number] = [rule.split(FIELD) for rule in text.split(RECORD)] if text else []
        return self.rules[number]

    def candidates(self, argv: "Sequence[str]") -> list[list[str]]:
        """Every rule that may match, in order: by the first word, or by a pattern of this length.

        EnvFilters take a leading `env` from argv for whoever comes after them, even where they
        do not match: then each of them is a candidate, and so are the rules for what is left.
        """
        if not argv:
            return []
        leading = 0
        while leading < len(argv) and argv[leading] == "env":
            leading += 1
        words = [argv[0], *argv[leading : leading + 1]]
        words += [word[:-1] for word in words if word[-1:] == "\n"]  # `$` matches before one
        keys = {*words, PART, *(f"{PART}{len(argv) - taken}" for taken in range(leading + 1))}
        if leading or "=" in argv[0]:
            keys.add(PART + "=")
        found = {rule[POSITION]: rule for key in keys for rule in self.bucket(key)}
        return sorted(found.values(), key=lambda rule: int(rule[POSITION]))

    def matches_pattern(self, pattern: str, word: str) -> bool:
        """`re.match(pattern + '$', word)`, where one that cannot be compiled matches nothing."""
        kind, text = pattern[:1], pattern[1:]
        if kind == "=":
            return word in (text, text + "\n")
        if kind == "!":
            return False
        matcher = self.patterns.get(pattern)
        if matcher is None:
            matcher = self.patterns[pattern] = self.compile(text)
        return matcher.match(word) is not None

    def compile(self, text: str) -> "Pattern[str]":
        """Make a matcher of compiled code, or anew where another interpreter compiled it."""
        source, flags, groups, found, code = text.split(PART)
        if not self.compiled:
            import re

            return re.compile(source)
        numbers: dict[str, int] = {}
        by_number: list[str | None] = [None] * (int(groups) + 1)
        for pair in found.split():
            name, _, number = pair.partition("=")
            numbers[name] = int(number)
            by_number[int(number)] = name
        words = [int(word) for word in code.split()]
        made: Pattern[str]
        made = _sre.compile(source, int(flags), words, int(groups), numbers, tuple(by_number))
        return made


def open_index(config: str, path: str) -> Index:
    """Open the index of a configuration if only root can have written it and it is up to date."""
    try:
        folder = posix.stat(INDEX_DIR)
        fd = posix.open(index_path(config), posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
        file = posix.fstat(fd)
    except OSError:
        raise Slow from None
    try:
        if any(status.st_uid or status.st_mode & 0o022 for status in (folder, file)):
            raise Slow
        index = Index(posix.read(fd, FIRST_READ), fd)
        if not index.is_fresh(path):
            raise Slow
    except (Slow, ValueError, IndexError):
        posix.close(fd)
        raise Slow from None
    return index


# -- filters: each function is what its class in oslo_rootwrap/filters.py does -------------------


class Caller:
    """What a decision goes by besides the filters: the environment."""

    def __init__(self, environ: dict[bytes, bytes]) -> None:
        self.environ, self.path = environ, decode(environ.get(b"PATH", b""))

    def guess_program(self, pid: int, command: str) -> str:  # noqa: ARG002 - for who can
        """What KillFilter makes of an executable that is no longer there; nothing: no match."""
        raise Slow


def decode(text: bytes) -> str:
    """As os.fsdecode."""
    return text.decode(sys.getfilesystemencoding(), "surrogateescape")


def encode(text: str) -> bytes:
    """As os.fsencode."""
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


def names(assignments: "Sequence[str]") -> set[str]:
    """The names of the NAME=VALUE words in front."""
    found = set()
    for word in assignments:
        if "=" not in word:
            break
        found.add(word.partition("=")[0])
    return found


def is_file(path: str) -> bool:
    """As os.path.isfile."""
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o100000
    except (OSError, ValueError):
        return False


def real_path(path: str) -> str:
    """As filters.realpath."""
    import posixpath

    try:
        return posixpath.realpath(path)
    except FileNotFoundError:  # of the working folder
        return ""


def same_command(rule: list[str], word: str) -> bool:
    """As CommandFilter.match."""
    return word in (rule[EXEC_PATH], rule[EXEC_PATH].rpartition("/")[2])


def matches(  # noqa: C901 - one line for each class
    index: Index, rule: list[str], argv: list[str], caller: Caller
) -> bool:
    """Ask one filter; an EnvFilter may take a leading `env` from argv."""
    args = rule[ARGS:]
    if not argv:
        return False
    match rule[KIND]:
        case "C" | "H":
            return same_command(rule, argv[0])
        case "R":
            return len(args) == len(argv) and all(map(index.matches_pattern, args, argv))
        case "G":
            return len(args) <= len(argv) and all(map(index.matches_pattern, args, argv))
        case "P":
            return len(argv) > 1 and len(args) == len(argv) - 1 and path_matches(rule, argv)
        case "K":
            return kill_matches(args, argv, caller)
        case "F":
            return argv == ["cat", args[0]]
        case "I":
            return argv[0] == "ip" and ip_matches(argv)
        case "E":
            return env_matches(rule, argv)
        case "N":
            netns = len(argv) > 3 and argv[1] in NETNS and argv[2] in EXEC
            return netns and argv[0] == "ip" and rule[RUN_AS] == "root"
        case _:
            raise Slow


def path_matches(rule: list[str], argv: list[str]) -> bool:
    """As PathFilter.match, for an argv of the right length."""
    if not same_command(rule, argv[0]):
        return False
    pairs = list(zip(rule[ARGS:], argv[1:], strict=True))
    if not all(arg in ("pass", word) for arg, word in pairs if arg[:1] != "/"):
        return False
    # os.path.commonprefix compares characters
    return all(real_path(word).startswith(arg) for arg, word in pairs if arg[:1] == "/")


def kill_matches(args: list[str], argv: list[str], caller: Caller) -> bool:
    """As KillFilter.match."""
    if argv[0] != "kill" or len(argv) not in (2, 3):
        return False
    program, *signals = args
    if len(argv) == 3:
        if argv[1] not in signals:
            return False
    elif signals:
        return False
    try:
        pid = int(argv[-1])
        command = posix.readlink(f"/proc/{pid}/exe")
    except (ValueError, OSError):
        return False
    command = command.partition("\0")[0].removesuffix(" (deleted)")
    if not is_file(command):
        command = caller.guess_program(pid, command)
    if not command:
        return False
    if program[:1] == "/":
        return program == command
    folder, _, base = command.rpartition("/")
    return program == base and (folder or "/") in caller.path.split(":")


def ip_matches(argv: list[str]) -> bool:
    """As IpFilter.match."""
    for word, following in zip(argv[1:], argv[2:], strict=False):  # noqa: RUF007 - itertools
        if word in NETNS:
            return following not in EXEC
    return True


def env_matches(rule: list[str], argv: list[str]) -> bool:
    """As EnvFilter.match, which changes argv."""
    if argv[0] == "env":
        argv.pop(0)
    args = rule[ARGS:]
    if len(argv) < len(args):
        return False
    given, wanted = names(argv), names(args)
    command = argv[len(given) : len(given) + 1]
    return bool(command and same_command(rule, command[0]) and wanted and given == wanted)


def without_environment(argv: list[str]) -> list[str]:
    """As EnvFilter.exec_args."""
    start = 1 if argv[0] == "env" else 0
    while start < len(argv) and "=" in argv[start]:
        start += 1
    return argv[start:]


def chained(rule: list[str], argv: list[str]) -> list[str]:
    """As exec_args of the chaining filters."""
    start = {"H": len(argv), "N": 4, "G": len(rule) - ARGS}[rule[KIND]]
    rest = argv[start:]
    if rest:
        rest[0] = rest[0].rpartition("/")[2]
    return rest


def find_executable(rule: list[str], index: Index, caller: Caller) -> str:
    """As CommandFilter.get_exec: the filter's executable where it exists, else nothing."""
    path = rule[EXEC_PATH]
    if path[:1] == "/":
        return path if posix.access(path, posix.X_OK) else ""
    folders = index.exec_dirs
    if index.path:
        folders = caller.path.split(":") if b"PATH" in caller.environ else []
    for folder in folders:
        found = folder + path if not folder or folder[-1] == "/" else f"{folder}/{path}"
        if posix.access(found, posix.X_OK):
            return found
    return ""


class Match:
    """The filter that allows a command, the one that allows what it chains to, and what runs."""

    def __init__(self, rule: list[str], inner: "Match | None", executable: str) -> None:
        self.rule, self.inner, self.executable = rule, inner, executable


def find(index: Index, argv: list[str], caller: Caller, user: str | None = None) -> Match | None:
    """As wrapper.match_filter: the first that matches and has an executable, or has none."""
    missing = None
    for rule in index.candidates(argv):
        chain = rule[KIND] in CHAINS
        if user is not None and (chain or rule[RUN_AS] != user):
            continue
        if not matches(index, rule, argv, caller):
            continue
        inner = None
        if chain:
            rest = chained(rule, argv)
            inner = find(index, rest, caller, rule[RUN_AS]) if rest else None
            if inner is None or not inner.executable:
                continue
        executable = find_executable(rule, index, caller)
        if executable:
            return Match(rule, inner, executable)
        missing = missing or Match(rule, None, "")
    return missing


class Command:
    """What will run: words, environment, user; `capabilities` is None for all that there are."""

    def __init__(self, match: Match, argv: list[str], caller: Caller) -> None:
        rule = match.rule
        self.name, self.user, self.executable = rule[NAME], rule[RUN_AS], match.executable
        self.environ, words = caller.environ, argv
        if rule[KIND] == "E":
            words, self.environ = without_environment(argv), with_environment(argv, caller)
        elif rule[KIND] == "P":
            pairs = zip(rule[ARGS:], argv[1:], strict=True)
            words = [argv[0], *(real_path(w) if arg[:1] == "/" else w for arg, w in pairs)]
        self.argv = [match.executable, *words[1:]]
        rules = [rule, match.inner.rule] if match.inner else [rule]
        masks = [each[CAPABILITIES] for each in rules]
        self.setuid = any(mask.endswith("+") for mask in masks)
        self.capabilities: int | None = None
        if "all" not in masks:
            self.capabilities = 0
            for mask in masks:
                self.capabilities |= int(mask.rstrip("+"), 16)
        ways = [each[EXECUTION] for each in rules]
        self.execution = next((way for way in ("exec", "child") if way in ways), "daemon")
        self.why_not = next((each[WHY_NOT] for each in rules if each[WHY_NOT]), "")


def with_environment(argv: list[str], caller: Caller) -> dict[bytes, bytes]:
    """As EnvFilter.get_environment; an empty value sets nothing."""
    environ = dict(caller.environ)
    for word in argv[argv[0] == "env" :]:
        name, equals, value = word.partition("=")
        if not equals:
            break
        if name and value:
            environ[encode(name)] = encode(value)
    return environ


def decide(index: Index, argv: list[str], caller: Caller) -> Command:
    """Say what runs; raise Quit with what oslo-rootwrap says where nothing does."""
    match = find(index, argv, caller)
    if match is None:
        raise Quit(EXIT_UNAUTHORIZED, f"Unauthorized command: {' '.join(argv)} (no filter matched)")
    if not match.executable:
        path, name = match.rule[EXEC_PATH], match.rule[NAME]
        raise Quit(EXIT_NO_EXECUTABLE, f"Executable not found: {path} (filter match = {name})")
    return Command(match, argv, caller)


def judge(index: Index, command: Command) -> None:
    """Refuse what others than root could replace; without root nothing is at stake."""
    why = command.why_not
    path = command.executable
    if posix.geteuid() or command.user != "root":
        return
    if path[:1] != "/":
        why = "it stands in a folder that depends on where one stands"
    elif not why and not any(path.startswith(folder + "/") for folder in index.accepted):
        status = posix.stat(path)
        if status.st_uid:
            why = f"it belongs to uid {status.st_uid}, not to root"
        elif status.st_mode & 0o002 or (
            status.st_mode & 0o020 and (status.st_gid or has_access_list(path))
        ):
            why = "others than root can write it"
    if why:
        raise Quit(EXIT_BAD_CONFIG, f"{path} will not be run as root: {why}")


def has_access_list(path: str) -> bool:
    """Whether the group's bits of its mode are about other users and groups too."""
    # not by the list of names: whoever may write the file can make that too long to be read
    try:
        posix.getxattr(path, "system.posix_acl_access")
    except OSError as error:
        import errno

        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True


# -- logging as rootwrap's, and the audit trail --------------------------------------------------


class Log:
    """Syslog as configured; without it, warnings go to standard error as Python has it."""

    def __init__(self, name: str, syslog: str) -> None:
        self.ident, self.level, self.facility = name.rpartition("/")[2], WARNING, 0
        self.socket: _socket.socket | None = None
        self.to_syslog = bool(syslog)
        if syslog:
            self.facility, self.level = (int(word) for word in syslog.split())
            try:
                self.socket = connect_syslog()
            except OSError:
                return  # whoever has something to say will find out

    def write(self, level: int, text: str) -> None:
        """Log one message, if this level is logged."""
        if level < self.level:
            return
        if self.to_syslog:
            self.send(SYSLOG[level], text)
        else:
            print(text, file=sys.stderr)

    def to_syslog_only(self, level: int, text: str) -> None:
        """Log one message of a daemon, which has no standard error."""
        if self.to_syslog:
            self.write(level, text)

    def send(self, priority: int, text: str) -> None:
        """One datagram, as logging.handlers.SysLogHandler sends it; failing stops no command.

        With control characters as escapes: what a caller says begins no line of its own.
        """
        if not text.isprintable():
            text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        line = f"<{self.facility << 3 | priority}>{self.ident}: {text}".encode("utf-8", "replace")
        if len(line) > LONGEST_LINE:
            line = line[:LONGEST_LINE] + b"..."
        try:
            self.deliver(line + b"\0")
        except OSError as error:
            if priority != NOTICE:  # where there is no syslog, there is no audit trail
                print(f"{self.ident}: not logged: {error.strerror}: {text}", file=sys.stderr)

    def deliver(self, line: bytes) -> None:
        """Send it, on a new connection where the syslog daemon has been started anew."""
        sock = self.socket
        if sock is not None:
            try:
                sock.sendall(line)
            except OSError:
                self.socket = None
            else:
                return
        sock = connect_syslog()
        sock.sendall(line)
        self.socket = sock


def connect_syslog() -> "_socket.socket":
    """Connect to /dev/log, by datagrams or else by a stream."""
    import _socket

    try:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        sock.connect("/dev/log")
    except OSError:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        sock.connect("/dev/log")
    return sock


def log_name(environ: dict[bytes, bytes]) -> str:
    """Who logged in, as wrapper._getlogin."""
    try:
        return posix.getlogin()
    except OSError:
        found = (environ.get(name) for name in (b"USER", b"USERNAME", b"LOGNAME"))
        return next((decode(name) for name in found if name), "None")


def mask_secrets(argv: "Sequence[str]") -> list[str]:
    """Words for a log: what follows --password or stands behind password= is not for it."""
    masked, hide = [], False
    for word in argv:
        lowered = word.lower()
        secret = any(name in lowered for name in SECRET_WORDS)
        mark = next((letter for letter in word if letter in "=:"), "")
        if hide:
            masked.append("***")
        elif secret and mark:
            masked.append(word.partition(mark)[0] + mark + "***")
        else:
            masked.append(word)
        hide = not hide and secret and not mark and word[:1] == "-"
    return masked


def quote(text: str) -> str:
    """A JSON string in ASCII."""
    units = text.encode("utf-16-be", "surrogatepass")
    found = []
    for place in range(0, len(units), 2):
        number = int.from_bytes(units[place : place + 2], "big")
        plain = 31 < number < 127 and number not in (34, 92)
        found.append(chr(number) if plain else f"\\u{number:04x}")
    return f'"{"".join(found)}"'


def listed(argv: "Sequence[str]") -> str:
    """A JSON array of the words, of which no caller can make more than syslog takes."""
    found: list[str] = []
    left = LONGEST_ARGV
    for place, word in enumerate(argv):
        text = quote(word)
        if len(text) > left:
            cut = quote(f"{word[: left // 12]}... and {len(argv) - place - 1} more words")
            return f"[{', '.join([*found, cut])}]"
        left -= len(text) + 2
        found.append(text)
    return f"[{', '.join(found)}]"


def audit(log: Log, command: Command, **values: str) -> None:
    """One record of one command; its fields are named in docs/shim.md."""
    mask = "all" if command.capabilities is None else f"{command.capabilities:x}"
    record = {
        "by": quote(values.pop("by")),
        "uid": str(posix.getuid()),
        "run_as": quote(command.user),
        "filter": quote(command.name),
        "argv": listed(mask_secrets(command.argv)),
        "capabilities": quote(mask),
        **values,
    }
    pairs = ", ".join(f'"{name}": {value}' for name, value in record.items())
    log.send(NOTICE, f"privmigrate {{{pairs}}}")


# -- confining and running -----------------------------------------------------------------------

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAP_SETUID = 7
CAPABILITY_VERSION_3 = 0x20080522
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def read_status() -> dict[str, int]:
    """The capability sets and no_new_privs of this process, as the kernel shows them."""
    fd = posix.open("/proc/self/status", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        text = posix.read(fd, FIRST_READ).decode("ascii", "replace")
    finally:
        posix.close(fd)
    found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return {name: int(found[name], 16) for name in (*SETS, "NoNewPrivs")}


def confine(mask: int, *, setuid: bool, kept: int = 0) -> None:
    """Hold this process and all that it starts to these capabilities, for ever, and read it back.

    For uid 0 the bounding set is what an exec gives, so it is dropped first, while CAP_SETPCAP is
    held. `kept` are capabilities that a change of the user takes away. ctypes costs 3 ms, its core
    half of one.
    """
    import _ctypes

    before = read_status()
    libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # RTLD_NOW
    prctl, capset = _ctypes.dlsym(libc, "prctl"), _ctypes.dlsym(libc, "capset")
    bounding = before["CapBnd"] & ~mask
    for number in range(bounding.bit_length()):
        if bounding >> number & 1:
            _ctypes.call_function(prctl, (PR_CAPBSET_DROP, number, 0, 0, 0))
    if not setuid:
        _ctypes.call_function(prctl, (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    permitted, inheritable = before["CapPrm"] & (mask | kept), before["CapInh"] & mask
    words = [each >> shift & 0xFFFFFFFF for shift in (0, 32) for each in (permitted, permitted,
                                                                         inheritable)]  # fmt: skip
    data = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    header = CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
    _ctypes.call_function(capset, (header, data))
    after = read_status()
    wrong = [name for name in SETS if after[name] & ~(mask if name == "CapBnd" else mask | kept)]
    if wrong or not (setuid or after["NoNewPrivs"]):
        raise Quit(
            EXIT_FAILED, f"cannot be confined: {' '.join(wrong) or 'no_new_privs'} as before"
        )


def limit_descriptors(most: int) -> None:
    """As oslo_rootwrap.cmd: no more than `rlimit_nofile`, and those beyond it closed."""
    soft = posix.sysconf("SC_OPEN_MAX")
    if soft <= most:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for word in posix.listdir("/proc/self/fd"):
        if int(word) >= most:
            try:
                posix.close(int(word))
            except OSError:
                continue  # the descriptor that listed them
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def keep_descriptors() -> None:
    """Let nothing but the standard descriptors reach the command, as subprocess does."""
    for word in posix.listdir("/proc/self/fd"):
        if int(word) > 2:
            try:
                posix.set_inheritable(int(word), False)
            except OSError:
                continue  # the same


def become(command: Command) -> None:
    """Turn this process into the command; returns only by raising."""
    uid = user_id(command.user)
    if uid is None:
        confine_for(command)
    else:
        confine_for(command, kept=1 << CAP_SETUID)
        posix.setuid(uid)  # the user alone: the groups stay root's, as under oslo.rootwrap
    for number in reset_signals():
        _signal.signal(number, _signal.SIG_DFL)
    posix.execve(command.executable, command.argv, command.environ)


def user_id(user: str) -> int | None:
    """The uid to become; None where there is nothing to do."""
    if user == "root":
        return None
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise Quit(EXIT_FAILED, f"there is no user {user!r}") from None


def confine_for(command: Command, kept: int = 0) -> None:
    """Confine this process as its command has to be; without root there is nothing to confine."""
    if command.capabilities is not None and not posix.geteuid():
        confine(command.capabilities, setuid=command.setuid, kept=kept)


def reset_signals() -> tuple[int, ...]:
    """What Python ignores, and subprocess gives back to a child."""
    return _signal.SIGPIPE, _signal.SIGXFSZ


def start(command: Command, mask: set[int], *, ignore_children: bool) -> int:
    """Start the command as a child with these signals blocked; give its pid, or raise OSError.

    Not by posix_spawn, which would be a little faster: glibc's leaves signals 32 and 33 ignored.
    """
    reader, writer = posix.pipe()
    pid = posix.fork()
    if not pid:
        try:
            posix.close(reader)
            if ignore_children:
                _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
            become(command)
        except OSError as error:
            posix.write(writer, str(error.errno).encode())
        except Quit as quit_:
            posix.write(writer, encode(quit_.message))
        finally:
            posix._exit(EXIT_FAILED)
    posix.close(writer)
    failed = posix.read(reader, FIRST_READ)
    posix.close(reader)
    if failed:
        posix.waitpid(pid, 0)
        if failed.isdigit():
            raise OSError(int(failed), posix.strerror(int(failed)))
        raise Quit(EXIT_FAILED, decode(failed))
    return pid


def run_as_child(command: Command) -> int:
    """Run the command and give its exit status, 128 + n for signal n.

    A signal that would end us goes to the command first; we end by it when the command has. One
    from the terminal (SI_KERNEL) has reached the command already: it is in our process group.
    """
    number_of = [getattr(_signal, name) for name in FORWARDED]
    waited = {n for n in number_of if _signal.getsignal(n) != _signal.SIG_IGN} | {_signal.SIGCHLD}
    mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, waited)
    ignored = _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN
    if ignored:  # then there would be nothing to wait for
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    pid = start(command, mask, ignore_children=ignored)
    ending = 0
    while True:
        ended, status = posix.waitpid(pid, posix.WNOHANG)
        if ended:
            break
        info = _signal.sigwaitinfo(waited)
        if info.si_signo != _signal.SIGCHLD:
            ending = ending or info.si_signo
            if info.si_code != SI_KERNEL:
                posix.kill(pid, info.si_signo)
    if ending:
        end_by(ending)
    code = posix.waitstatus_to_exitcode(status)
    return SIGNAL_BASE - code if code < 0 else code


def end_by(number: int) -> None:
    """End as this signal ends a process that does nothing about it."""
    _signal.signal(number, _signal.SIG_DFL)
    posix.kill(posix.getpid(), number)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (number,))


# -- asking the daemon ----------------------------------------------------------------------------

EXEC_MAGIC = b"PM1"
EXEC_FIXED = 4  # magic, umask, configuration, number of words; then the words, then the environment
LONGEST_ANSWER = 1 << 16
ELSEWHERE = b"Nanother mnt namespace"
RESTART_SECONDS = 10


class Unserved(Exception):  # noqa: N818 - an answer, not an error
    """No daemon begins this command: the client runs it itself."""


def ask_daemon(config: str, argv: "Sequence[str]", slow: "Sequence[str]") -> int:
    """Have the daemon run it, pass on signals, give the status; raise Unserved before it began."""
    import _socket

    if config[:1] != "/":
        raise Unserved("the path of the configuration depends on where one stands")
    umask = posix.umask(0)
    posix.umask(umask)
    environ = (name + b"=" + value for name, value in posix.environ.items())
    words = (encode(word) for word in argv)
    fixed = (EXEC_MAGIC, f"{umask:o}".encode(), encode(config), str(len(argv)).encode())
    data = b"\0".join((*fixed, *words, *environ))
    sock = connect_daemon(config, slow)
    try:
        folder = posix.open(".", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, folder))
        sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        begun = sock.recv(LONGEST_ANSWER)
    except OSError as error:  # too long, a closed stream, a daemon that ended
        raise Unserved(error.strerror) from None
    if begun == ELSEWHERE:  # systemd's, which serves another mount namespace than ours
        start_daemon(config, slow)
    if begun[:1] != b"B":
        raise Unserved(decode(begun[1:]) or "the daemon ended before it began")
    return follow(sock)


def follow(sock: "_socket.socket") -> int:
    """Wait for the end of a command that was begun, and never run it again."""
    ending: list[int] = []

    def forward(number: int, _frame: object) -> None:
        ending.append(number)
        try:
            sock.send(b"K" + str(number).encode())
        except OSError:
            return  # it has ended, and the answer says how

    for name in FORWARDED:
        number = getattr(_signal, name)
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, forward)
    try:
        answer = sock.recv(LONGEST_ANSWER)
    except OSError:
        answer = b""
    if ending:
        end_by(ending[0])
    if answer[:1] == b"F":
        raise Quit(EXIT_FAILED, decode(answer[1:]))
    if answer[:1] != b"E":
        raise Quit(EXIT_FAILED, "the daemon ended while the command ran, which may be running on")
    code = int(answer[1:])
    return SIGNAL_BASE - code if code < 0 else code


def connect_daemon(config: str, slow: "Sequence[str]") -> "_socket.socket":
    """Connect to this mount namespace's daemon or to systemd's; where is none, start one."""
    import _socket

    for everywhere in (False, True):
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            sock.connect(socket_path(config, everywhere=everywhere))
        except OSError:
            sock.close()
        else:
            return sock
    start_daemon(config, slow)
    raise Unserved("no daemon yet")


def start_daemon(config: str, slow: "Sequence[str]") -> None:
    """Start a daemon for the commands to come, unless one was started a moment ago."""
    marker = socket_path(config) + ".start"
    try:
        if time.time() - posix.stat(marker).st_mtime < RESTART_SECONDS:
            return
    except OSError:
        pass  # nobody has tried
    try:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW
        posix.close(posix.open(marker, flags, 0o600))
        posix.utime(marker)
    except OSError:
        return  # then there can be no socket either
    pid = posix.fork()
    if pid:
        posix.waitpid(pid, 0)
        return
    try:
        posix.setsid()
        if posix.fork():
            posix._exit(0)
        null = posix.open("/dev/null", posix.O_RDWR)
        for standard in range(3):
            posix.dup2(null, standard)
        keep_descriptors()
        posix.umask(0o022)
        words = [*slow[:-1], "--serve", config]
        environ = {name: value for name, value in posix.environ.items() if name in KEPT_VARIABLES}
        posix.execve(words[0], words, environ)
    finally:
        posix._exit(EXIT_FAILED)


KEPT_VARIABLES = (b"PATH", b"LANG", b"LC_ALL", b"LC_CTYPE", b"TZ")


def describe(command: Command, environ: dict[bytes, bytes]) -> str:
    """What wrapper.start_subprocess logs of a command."""
    import pwd

    who, user = log_name(environ), pwd.getpwuid(posix.getuid()).pw_name
    return f"({who} > {user}) Executing {command.argv} (filter match = {command.name})"


def run(index: Index, log: Log, command: Command, call: "Call") -> int:
    """Run what was decided, in the way that its filter asks for."""
    judge(index, command)
    if command.execution == "daemon":
        try:
            return ask_daemon(call.config, call.argv, call.slow)
        except Unserved as why:
            log.to_syslog_only(INFO, f"{command.name}: run without the daemon: {why}")
    environ = posix.environ
    if index.syslog:
        log.write(INFO, describe(command, environ))
    keep_descriptors()
    begin = time.monotonic()
    try:
        if command.execution == "exec":
            if index.audit:
                audit(log, command, by=log_name(environ))
            become(command)
        status = run_as_child(command)
    except OSError as error:
        raise Quit(EXIT_FAILED, f"{command.executable}: {error.strerror}") from None
    if index.audit:
        seconds = f"{time.monotonic() - begin:.3f}"
        audit(log, command, by=log_name(environ), status=str(status), seconds=seconds)
    return status


class Call:
    """How the client was called; `slow` is the command line of the whole of privmigrate."""

    def __init__(self, name: str, config: str, argv: list[str], slow: list[str]) -> None:
        self.name, self.config, self.argv, self.slow = name, config, argv, slow


def perform(index: Index, call: Call, decided: "Callable[[], Command]") -> int:
    """Decide and run; raise Slow, with nothing done, if the index cannot answer."""
    refused = command = None
    try:
        command = decided()
    except Quit as quit_:
        refused = quit_
    limit_descriptors(index.rlimit_nofile)
    log = Log(call.name, index.syslog)
    for text in index.warnings:  # as oslo.rootwrap whenever it loads these filters
        log.write(WARNING, text)
    try:
        if refused or not command:
            raise refused or Slow
        return run(index, log, command, call)
    except Quit as quit_:
        return give_up(call.name, quit_, log if index.syslog else None)


def give_up(name: str, quit_: Quit, log: Log | None = None) -> int:
    """Say why, on standard error and where it is logged, and give the status to exit with."""
    print(f"{name}: {quit_.message}", file=sys.stderr)
    if log is not None:
        log.write(ERROR, quit_.message)
    return quit_.status


def answer(index: Index, argv: list[str], environ: dict[bytes, bytes]) -> Command:
    """Decide; whatever is wrong with an index, nothing was done yet and a new one can be made."""
    try:
        return decide(index, list(argv), Caller(environ))
    except (ValueError, IndexError, RuntimeError) as error:
        raise Slow from error


def main(slow: list[str]) -> None:
    """Be oslo-rootwrap; `slow` is the command line that answers what the index cannot."""
    name, *words = sys.argv
    try:
        if len(words) < 2:
            status = give_up(name, Quit(EXIT_NO_COMMAND, "No command specified"))
        else:
            environ = posix.environ
            index = open_index(words[0], decode(environ.get(b"PATH", b"")))
            if index.whole:
                raise Slow
            call = Call(name, words[0], words[1:], slow)
            status = perform(index, call, lambda: answer(index, call.argv, environ))
    except Slow:
        try:
            posix.execv(slow[0], [*slow, name, *words])
        except OSError as error:
            why = f"{slow[0]}: {error.strerror}; was privmigrate removed without `shim uninstall`?"
            status = give_up(name, Quit(EXIT_BAD_CONFIG, why))
    if sys.stderr is not None:
        sys.stderr.flush()
    posix._exit(status)
