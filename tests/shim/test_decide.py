"""The client's own decisions are oslo.rootwrap's: on real filters and on strange ones."""

# ruff: noqa: E501, PTH119 - words as oslo.rootwrap takes them

import configparser
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest
from oslo_rootwrap import wrapper

from privmigrate.shim import client
from privmigrate.shim.caller import Caller
from privmigrate.shim.index import Source, build
from privmigrate.shim.patterns import encode_pattern
from tests.shim.conftest import WriteConfig

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
BYTES = {os.fsencode(name): os.fsencode(value) for name, value in ENVIRON.items()}
Answer = tuple[object, ...]


class Oracle:
    """oslo.rootwrap with the filters of a configuration, in the sorted order of files."""

    def __init__(self, config: Path) -> None:
        raw = configparser.RawConfigParser()
        raw.read(config)
        self.config = wrapper.RootwrapConfig(raw)
        names = os.listdir

        with mock.patch.object(os, "listdir", lambda path: sorted(names(path))):
            self.filters = wrapper.load_filters(self.config.filters_path)

    def decide(self, argv: Sequence[str]) -> Answer:
        words = list(argv)
        for each in self.filters:
            each.real_exec = None  # as in a process of its own
        # in place of os.environ, which would hand every change on to the C library
        with mock.patch.object(os, "environ", dict(ENVIRON)):
            try:
                found = wrapper.match_filter(self.filters, words, self.config.exec_dirs)
            except wrapper.NoFilterMatched:
                return 99, " ".join(words)
            except wrapper.FilterMatchNotExecutable as error:
                assert error.match  # noqa: PT017 - for the type checker
                return 96, error.match.exec_path, error.match.name
            command = found.get_command(words, self.config.exec_dirs)
            environ = found.get_environment(words)
        return found.name, found.run_as, command, environ or ENVIRON


def ours(index: client.Index, argv: Sequence[str]) -> Answer:
    try:
        found = client.decide(index, list(argv), Caller(BYTES))
    except client.Quit as quit_:
        if quit_.status == 99:
            words = quit_.message.removeprefix("Unauthorized command: ")
            return 99, words.removesuffix(" (no filter matched)")
        match = re.fullmatch(
            r"Executable not found: (.*) \(filter match = (.*)\)", quit_.message, re.DOTALL
        )
        assert match
        return quit_.status, *match.groups()
    environ = {client.decode(name): client.decode(value) for name, value in found.environ.items()}
    return found.name, found.user, found.argv, environ


def load(config: Path) -> client.Index:
    return client.Index(build(Source(str(config), ENVIRON)).data)


def plausible(rng: random.Random, oracle: Oracle) -> Iterator[list[str]]:
    """Command lines that come near to each filter: its own words, changed here and there."""
    words = ["ip", "netns", "exec", "ns", "env", "A=1", "LC_ALL=C", "-x", "5", "", "x\n", "kill",
             "-9", "/etc/../etc/passwd", "/var/lib", "cat", "\udcff", "é", "٣", "ionice", "-c3"]  # fmt: skip
    for each in oracle.filters:
        base = [each.exec_path, *each.args]
        forms = [
            base,
            [os.path.basename(each.exec_path), *each.args],
            [*each.args],
            ["env", *each.args, os.path.basename(each.exec_path), "x"],
            ["ip", "netns", "exec", "ns", *base],
            ["ionice", "-c3", *base],
            [os.path.basename(each.exec_path), rng.choice(words), rng.choice(words)],
        ]
        for form in forms:
            simple = [re.sub(r"\(.*?\)|\[.*?\][*+]?|\\.|[.^$*+?]", "7", word) for word in form]
            yield form
            yield simple
            changed = list(simple)
            for _ in range(rng.randrange(1, 3)):
                place = rng.randrange(len(changed) + 1)
                change = rng.randrange(4)
                if change == 0:
                    changed[place:place] = [rng.choice(words)]
                elif change == 1:
                    del changed[place : place + 1]
                elif place < len(changed):
                    changed[place] = rng.choice([*words, changed[place] + "\n", changed[place][1:]])
            yield changed


def test_real_filters_decide_as_under_oslo_rootwrap(
    real_filters: list[Path], trusted_dir: Path
) -> None:
    rng = random.Random(4)
    folder = trusted_dir / "filters"
    folder.mkdir()
    config = trusted_dir / "rootwrap.conf"
    config.write_text(
        f"[DEFAULT]\nfilters_path={folder}\nexec_dirs=/sbin,/usr/sbin,/bin,/usr/bin\n"
    )
    asked = 0
    chunks = range(0, len(real_filters), 40)
    most = max(150, 1500 // len(chunks))  # of the wheels alone there is one chunk
    for chunk in chunks:
        for path in folder.iterdir():
            path.unlink()
        for number, path in enumerate(real_filters[chunk : chunk + 40]):
            (folder / f"{number:03}.filters").write_bytes(path.read_bytes())
        try:
            oracle = Oracle(config)
        except Exception:  # noqa: BLE001 - a file that oslo.rootwrap itself does not survive
            continue
        index = load(config)
        cases = list(plausible(rng, oracle))
        for argv in rng.sample(cases, min(len(cases), most)):
            if argv:
                asked += 1
                assert ours(index, argv) == oracle.decide(argv), argv
    assert asked > (1000 if len(real_filters) > 100 else 100)  # the corpus is not everywhere


STRANGE = """
a1: CommandFilter, env, root
a2: EnvFilter, env, root, A=, sh
a3: EnvFilter, /usr/bin/env, root, A=, B=x, A=2, /bin/ls
a4: EnvFilter, sh, nobody, LC_ALL=
a5: EnvFilter, environ, root, A=
b1: RegExpFilter, /bin/echo, root, (echo|/bin/echo), \\d+
b2: RegExpFilter, echo, root, echo, (a
b3: RegExpFilter, echo, root, ech., (?P<x>a)(?P=x)
b4: RegExpFilter, cat, root, .*, env, x
b5: RegExpFilter, nowhere, root, echo, nowhere
b6: RegExpFilter, cat, root, cat, a|b
b7: RegExpFilter, ls, root, (?i)LS, [^/]+
b8: RegExpFilter, ls, root
c1: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]( -n [0-7])?
c2: ChainingRegExpFilter, nice, root, n.ce
c3: ChainingRegExpFilter, timeout, nobody, timeout, \\d+
c4: ChainingFilter, xargs, root
d1: IpNetnsExecFilter, ip, root
d2: IpNetnsExecFilter, ip, nobody
d3: IpFilter, ip, root
e1: KillFilter, root, /bin/sleep, -9, -HUP
e2: KillFilter, root, sleep
e3: KillFilter, root, PYTHON, -9
f1: PathFilter, chown, root, nova, /var/lib
f2: PathFilter, /bin/ls, root, pass, /etc, x
g1: ReadFileFilter, /etc/hostname
g2: CommandFilter, /nowhere/cat, root
g3: CommandFilter, /bin/, root
h1: ChainingRegExpFilter, stdbuf, root
"""
WORDS = ["env", "A=1", "B=2", "A=", "=x", "LC_ALL=C", "sh", "/bin/ls", "ls", "LS", "environ", "echo",
         "/bin/echo", "5", "٣", "a", "aa", "b", "bz", "cat", "x", "nowhere", "ionice", "-c3", "nice",
         "timeout", "xargs", "stdbuf", "ip", "net", "netns", "e", "exec", "ns", "kill", "-9", "-HUP",
         "1", "chown", "nova", "/var/lib/x", "/var/libx", "/etc/../etc", "/etc/hostname", "",
         "\udcff", "echo\n", "5\n", "privsep-helper"]  # fmt: skip


def test_strange_filters_decide_as_under_oslo_rootwrap(write_config: WriteConfig) -> None:
    # the program of a pid that the command lines name
    config = write_config(STRANGE.replace("PYTHON", "python{}.{}".format(*sys.version_info)))
    oracle, index = Oracle(config), load(config)
    rng = random.Random(7)
    words = [*WORDS, str(os.getpid())]
    cases = [rng.choices(words, k=rng.randrange(1, 7)) for _ in range(10_000)]
    cases += [argv for _ in range(60) for argv in plausible(rng, oracle) if argv]
    cases += [["kill", "-9", str(os.getpid())], ["chown", "nova", "/var/lib/x"],
              ["cat", "/etc/hostname"], ["env", "A=1", "B=2", "/bin/ls"], ["ip", "a"]]  # fmt: skip
    answers = set()
    for argv in map(list, dict.fromkeys(map(tuple, cases))):
        answer = oracle.decide(argv)
        answers.add(answer[0] if answer[0] != 96 else answer[2])
        assert ours(index, argv) == answer, argv
    # the command lines reach most filters, so that agreement means something; a program is known
    # by its name where the system has it
    ours_too = {"e3"} if Path(sys.executable).resolve().parent == Path("/usr/bin") else set()
    wanted = {"a1", "a2", "a3", "b1", "b3", "c2", "d3", "f1", "g1", "g2", 99}
    assert wanted | ours_too <= answers


@pytest.mark.parametrize("pattern", ["a", "a.", "(a|b)", "a|b", "[^/]*", r"\d+", r"(?P<n>a)(?P=n)",
                                     "(?i)a", ".*", "a{2,3}", "(", r"\Aa\Z", ""])  # fmt: skip
def test_a_pattern_matches_by_its_code_as_by_its_text(pattern: str) -> None:
    built = client.Index.__new__(client.Index)
    built.patterns = {}
    for word in ("", "a", "a\n", "A", "b", "aa", "ab", "a\nb", "/", "٣5", "(", "\udcff"):
        try:
            expected = re.match(pattern + "$", word) is not None
        except re.error:
            expected = False
        for compiled in (True, False):
            built.compiled, built.patterns = compiled, {}
            assert built.matches_pattern(encode_pattern(pattern), word) is expected


@pytest.mark.parametrize("change", ["none", "deleted", "renamed", "replaced"])
@pytest.mark.parametrize("program", ["{path}", "sleeper", "{path}.new"])
def test_the_program_of_a_process_is_found_as_under_oslo_rootwrap(
    write_config: WriteConfig, trusted_dir: Path, change: str, program: str
) -> None:
    path = trusted_dir / "sleeper"
    shutil.copy("/bin/sleep", path)
    config = write_config(f"k: KillFilter, root, {program.format(path=path)}, -9")
    oracle, index = Oracle(config), load(config)
    with subprocess.Popen([path, "60"]) as process:
        match change:
            case "deleted":
                path.unlink()
            case "renamed":
                path.rename(trusted_dir / "sleeper.new")
            case "replaced":
                path.unlink()
                shutil.copy("/bin/true", path)
            case _:
                pass
        argv = ["kill", "-9", str(process.pid)]
        theirs, found = oracle.decide(argv), ours(index, argv)
        process.kill()
    assert found == theirs
