"""Filters, argvs and files for the comparison with oslo.rootwrap: nearly right, and nearly allowed.

Every function takes the source of its choices, so that a seed repeats a run and Hypothesis can
shrink what it finds.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from privmigrate.rootwrap.rule import Rule

# -- the world that filters and argvs speak of ----------------------------------------------------


@dataclass(frozen=True)
class World:
    """Files and processes that both sides look at."""

    root: Path
    exec_dirs: tuple[str, ...]
    paths: tuple[str, ...]  # absolute, for PathFilter
    programs: tuple[str, ...]
    pids: tuple[str, ...]
    path_variables: tuple[str, ...]  # values of PATH


@contextlib.contextmanager
def make_world() -> Iterator[World]:
    """Make executables, folders with symlinks, and a few processes; remove them at the end."""
    root = Path(tempfile.mkdtemp(prefix="privmigrate-differential-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        first, second = root / "bin", root / "sbin"
        for made in (first, second, root / "my env"):
            made.mkdir()
        for name in ("ls", "cat", "ip", "env", "kpartx", "nice", "tool", "mkfs.ext4", "A=2"):
            (first / name).symlink_to("/bin/true")
        system_sleep = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
        for name in ("ls", "lvs", "nice", "kill", "dnsmasq", "renamed"):
            shutil.copy(system_sleep, second / name)
        (first / "plain").write_text("not executable")
        for name in ("images/a/b", "images-evil", "other"):
            (root / name).mkdir(parents=True)
        (root / "images/out").symlink_to("../other")
        (root / "in").symlink_to("images/a")
        (root / "loop").symlink_to("loop")
        sleep = [str(second / "dnsmasq"), "1000000"]
        processes += [
            subprocess.Popen(sleep),
            subprocess.Popen([second / "lvs", "1000000"]),
            subprocess.Popen(sleep, executable=second / "ls"),
            # says of itself that it is dnsmasq, and its executable goes away
            subprocess.Popen(["dnsmasq", "1000000"], executable=second / "renamed"),
            subprocess.Popen([system_sleep, "1000000"]),
        ]
        (second / "lvs").unlink()
        (second / "renamed").unlink()
        folders = ("images", "images/", "images/a", "in", "other", "images/out", "loop")
        yield World(
            root,
            (str(first), str(second), str(root / "nowhere")),
            (*(f"{root}/{name}" for name in folders), "/"),
            (
                *(str(second / name) for name in ("dnsmasq", "lvs", "renamed")),
                *("dnsmasq", "lvs", "sleep", system_sleep),
            ),
            (*(str(process.pid) for process in processes), "1", str(os.getpid())),
            (f"{second}:/usr/bin", f"{first}:{second}/", "", os.environ.get("PATH", "")),
        )
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(root)


# -- generated filters ----------------------------------------------------------------------------

# Patterns, each with words for it: such that match, nearly match, or match only in oslo.rootwrap.
PATTERNS: Final[Mapping[str, tuple[str, ...]]] = {
    r"\d+": ("5", "007", "\u0665", "5\n", "x"),
    r"[0-9]+": ("12", "1 2"),
    r".*": ("", "anything", "a\nb"),
    r".+": ("-x", "\n"),
    r"/dev/.*": ("/dev/sda", "/dev/../etc", "dev/sda"),
    r"/[^/]*": ("/etc", "/etc/", "/"),
    r"(add|del)": ("add", "del", "adddel", "add\n"),
    r"add|del": ("add", "addendum", "del", "dell"),
    r"-c[0-3]( -n[0-7])?": ("-c1", "-c1 -n2", "-c4"),
    r"if=\S+": ("if=/dev/zero", "if="),
    r"(?!\.\.).*": ("..", "a", "."),
    r"(?i)(add|rem)": ("ADD", "rem"),
    r"^abc$": ("abc", "abc\n"),
    r"a{2,3}": ("aa", "aaaa"),
    r"[a-z": ("a",),
    r"*": ("*",),
    r"(a": ("a",),
    r"a{99999999999999999999}": ("a",),
    r"(?P<x>a)(?P=x)": ("aa",),
    r"a(?#b)": ("a",),
    r"x.y": ("x.y", "xzy", "x\ny"),
    r"x\.y": ("x.y",),
    "": ("", "\n"),
    "--long": ("--long", "--long\n"),
    r"\Aab?\Z": ("a", "ab"),
    r"\bword\b": ("word",),
}
# The same for the first word, which an index has to foresee.
HEADS: Final[Mapping[str, tuple[str, ...]]] = {
    r"ls|cat": ("ls", "cat", "lsx"),
    r"l.": ("ls", "lx"),
    r"ls?": ("l", "ls", "ls\n"),
    r"(ls|tool)": ("tool",),
    r".*": ("ls", ""),
    r"/s?bin/ls": ("/bin/ls",),
    r"mkfs\.ext4": ("mkfs.ext4",),
    r"mkfs.ext4": ("mkfs-ext4", "mkfs.ext4"),
    r"lx{0}s": ("ls",),
    r"lx*s": ("ls", "lxs"),
    r"l[st]": ("lt",),
    r"(": ("(",),
    r"ip{99999999999999999999}": ("ip", "cat"),
    r"^ls": ("ls",),
    r"\x6cs": ("ls",),
    r"ls+": ("lss",),
    r"ls(cat)?": ("ls",),
    "": ("", "\n"),
}
BARE: Final = (
    "ls", "cat", "ip", "env", "kpartx", "lvs", "nice", "tool", "mkfs.ext4", "plain", "absent",
    "kill", "dnsmasq", "privsep-helper", "", "A=2", "x/ls", "ls/",
)  # fmt: skip
USERS: Final = ("root", "root", "root", "root", "nobody", "")
ASSIGNMENTS: Final = ("A=", "A=1", "B=", "LC_ALL=C", "=", "=x", "A=2", "PATH=", "A==")
SIGNALS: Final = ("-9", "-HUP", "-15", "TERM")
CLASSES: Final = (
    "CommandFilter", "CommandFilter", "RegExpFilter", "RegExpFilter", "PathFilter", "EnvFilter",
    "EnvFilter", "KillFilter", "ReadFileFilter", "IpFilter", "IpNetnsExecFilter", "ChainingFilter",
    "ChainingRegExpFilter", "DnsmasqFilter",
)  # fmt: skip
NETNS: Final = ("ip", "netns", "exec", "blue")


# How often the unlikely is chosen.
OFTEN, SELDOM, RARELY = 0.5, 0.3, 0.05


def basename(word: str) -> str:
    """The part behind the last slash: of any text, which may be no path."""
    return word.rpartition("/")[2]


def some(random: Random, choices: Sequence[str], most: int) -> list[str]:
    """Up to `most` of the choices, with repetition."""
    return [random.choice(choices) for _ in range(random.randint(0, most))]


def make_executable(random: Random, world: World) -> str:
    """A bare name, or one in a folder of the world."""
    name = random.choice(BARE)
    if random.random() < SELDOM:
        return str(Path(random.choice(world.exec_dirs)) / name)
    return name


def make_patterns(random: Random, executable: str) -> list[str]:
    """Patterns for a whole argv; mostly the command's own name first."""
    head = basename(executable)
    if random.random() < SELDOM:
        head = random.choice(tuple(HEADS))
    return [head, *some(random, tuple(PATTERNS), 3)]


def make_values(random: Random, world: World, name: str) -> list[str]:
    """The values of one filter of the class `name`; now and then too few."""
    executable, user = make_executable(random, world), random.choice(USERS)
    match name:
        case "RegExpFilter" | "ChainingRegExpFilter":
            patterns = make_patterns(random, executable) if random.random() > RARELY else []
            return [executable, user, *patterns]
        case "PathFilter":
            constants = ("pass", "nova", "-R", *world.paths, *world.paths)
            return [executable, user, *some(random, constants, 3)]
        case "EnvFilter":
            variables = some(random, ASSIGNMENTS, 3)
            if random.random() < OFTEN:
                first = random.choice(("env", "/usr/bin/env", str(world.root / "my env" / "x")))
                return [first, user, *variables, executable, *some(random, ("-f", ".*"), 2)]
            return [executable, user, *variables, *some(random, ("extra",), 1)]
        case "KillFilter":
            programs = () if random.random() < RARELY else (random.choice(world.programs),)
            return [user, *programs, *some(random, SIGNALS, 2)]
        case "ReadFileFilter":
            return [random.choice(("/etc/hosts", "hosts", *world.paths))]
        case "IpFilter" | "IpNetnsExecFilter":
            return [random.choice(("ip", "ip", "/sbin/ip", "ncat")), user]
        case _:
            return [executable, user, *some(random, ("extra",), 1)]


def make_text(random: Random, world: World) -> str:
    """A ``.filters`` file that oslo.rootwrap can read."""
    lines = ["[Filters]"]
    for number in range(random.randint(1, 9)):
        name = random.choice(CLASSES)
        entry = random.choice(("one", "Two", f"f{number}", f"f{number}"))
        lines.append(f"{entry}: {name}, {', '.join(make_values(random, world, name))}")
    return "\n".join(lines) + "\n"


# -- argvs that are nearly allowed ----------------------------------------------------------------

NETNS_FORMS: Final = (
    NETNS, ("ip", "net", "e", "blue"), ("ip", "netns", "add", "x"), ("ip", "-b", "f", "link"),
    ("ip", "vrf", "exec", "r"), ("ip", "link", "netns", "ex"), ("ip", "netns", "exec", "../x"),
    ("ip",), ("ip", "link"),
)  # fmt: skip
ENDINGS: Final = ("\n", " ", "x", "\0", "/..", "\u0665")
ODD_WORDS: Final = ("", "\n", "\0", "\ud800", "\udcff", "env", "A=1", "=", "\u0665", "..", "x" * 40)


def match_word(random: Random, pattern: str) -> str:
    """A word for a pattern: usually one that it matches."""
    words = (*PATTERNS.get(pattern, ()), *HEADS.get(pattern, ()))
    if words:
        return random.choice(words)
    plain = re.sub(r"\\(.)", r"\1", pattern)
    guesses = (plain, "1", "/dev/sda", "x", "/etc/x/y", "-1", "root", "a.b", "/", "10.0.0.1/8")
    fitting = []
    for guess in guesses:
        with contextlib.suppress(re.error, OverflowError):
            if re.match(pattern + "$", guess):
                fitting.append(guess)
    return random.choice(fitting or [plain])


def fit(random: Random, world: World, rule: Rule) -> list[str]:
    """An argv that is about `rule`, and often allowed by it."""
    first, *rest = rule.texts
    values = rest[1:]
    name = random.choice((first, basename(first)))
    match rule.filter_class:
        case "RegExpFilter" | "ChainingRegExpFilter":
            return [match_word(random, pattern) for pattern in values] or [name]
        case "PathFilter":
            tails = ("", "/x", "/a", "/out", "-evil", "/../other", "/.")
            arguments = (
                value + random.choice(tails) if value.startswith("/") else value for value in values
            )
            return [name, *arguments]
        case "EnvFilter":
            count = next((n for n, v in enumerate(values) if "=" not in v), len(values))
            variables = [v + random.choice(("", "", "x")) for v in values[:count]]
            random.shuffle(variables)
            command = values[count:] if "env" in first and values[count:] else [first]
            return [
                *random.choice(([], ["env"], ["env"], ["env", "env"])),
                *variables,
                random.choice((command[0], basename(command[0]))),
                *command[1:],
                *some(random, ("-k", "x"), 1),
            ]
        case "KillFilter":
            signals = rest[1:] or [""]
            signal = random.choice((signals[0], random.choice(SIGNALS)))
            pid = random.choice((*world.pids, "0", "-1", "1_0", "\u0661", "x"))
            return ["kill", *([signal] if signal else []), pid]
        case "ReadFileFilter":
            return ["cat", first]
        case "IpFilter" | "IpNetnsExecFilter":
            return list(random.choice(NETNS_FORMS))
        case _:
            return [name, *some(random, ("-a", "/etc/x"), 2)]


def mutate(random: Random, words: list[str], others: Sequence[list[str]]) -> list[str]:
    """Change an argv a little, as an attacker or a careless caller would."""
    place = random.randrange(len(words)) if words else 0
    ways: Mapping[str, Callable[[str], list[str]]] = {
        "longer": lambda word: [word + random.choice(ENDINGS)],
        "another": lambda _: [random.choice(ODD_WORDS)],
        "elsewhere": lambda word: [random.choice(("/srv/evil/", "./", "/")) + basename(word)],
        "bare": lambda word: [basename(word)],
        "gone": lambda _: [],
        "before": lambda word: [random.choice(ODD_WORDS), word],
    }
    fronts: Mapping[str, Callable[[], Sequence[str]]] = {
        "env": lambda: ["env"] * random.randint(1, 3),
        "variable": lambda: [random.choice(ASSIGNMENTS)],
        "namespace": lambda: random.choice(NETNS_FORMS),
        "chain": lambda: random.choice(others),
        "more chain": lambda: random.choice(others),
        "nothing": tuple,
    }
    way = random.choice((*ways, *fronts))
    if way in fronts:
        return [*fronts[way](), *words, *some(random, ("x", "--", "/etc/shadow"), 1)]
    if not words:
        return words
    place = 0 if way in {"elsewhere", "bare"} else random.randrange(len(words))
    return [*words[:place], *ways[way](words[place]), *words[place + 1 :]]


def make_argv(random: Random, world: World, rules: Sequence[Rule]) -> tuple[str, ...]:
    """An argv about one of the rules, changed or not."""
    words = fit(random, world, random.choice(rules))
    for _ in range(random.choice((0, 0, 0, 1, 1, 2, 3))):
        words = mutate(random, words, [fit(random, world, random.choice(rules))])
    return tuple(words)


# -- files ----------------------------------------------------------------------------------------

PIECES: Final = (
    b"[Filters]", b"[Filters]", b"[DEFAULT]", b"[Other]", b"[filters]", b"[Filters] x]", b"[]",
    b"a: CommandFilter, ls, root", b"A = CommandFilter, cat, root",
    b"b: RegExpFilter, ls, root, ls",
    b"a=KillFilter", b"r: ReadFileFilter, /x", b"c: NoFilter", b"d:", b": x", b"= y", b"word",
    b"  more, words", b"\tmore: not a name", b" # inner comment", b"# comment", b"; comment", b"",
    b"", b"   ", b"e : IpFilter , ip , root , ", b"f: CommandFilter, l s, root; x # y", b"\x0b",
    b"g: CommandFilter, \xc3\xa9, root",
    b"h: CommandFilter,\xc2\xa0ls\xe2\x80\xa8, root",
    b"i: \xff",
    b"\xef\xbb\xbf[Filters]", b"j: CommandFilter, ls\x85, root", b"\x1c k: x", b"l:m=n: o",
    b"n\xc4\xb0: CommandFilter, ls, root", b"o: %(x)s, a%b", b"p: CommandFilter, \0, root",
    b"  [Filters]", b"q: PathFilter, ls,", b"\xe2\x80\x83s: EnvFilter, env, root, A=, ls",
)  # fmt: skip
ENDS: Final = (
    b"\n",
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\x0c",
    b"\x85",
    b"\xe2\x80\xa8",
)


def make_file(random: Random) -> bytes:
    """The content of a file of lines that are nearly right."""
    lines = [random.choice(PIECES) + random.choice(ENDS) for _ in range(random.randint(0, 9))]
    if random.random() > SELDOM:
        lines.insert(0, b"[Filters]\n")
    return b"".join(lines)
