"""What a reviewer would ask for: lines that fit, no dead names, comments at what they are about."""

from dataclasses import replace
from pathlib import Path

import pytest

from privmigrate.callsites.site import Convention
from privmigrate.convert.layout import docstring
from privmigrate.convert.operation import Hole
from privmigrate.convert.replace import Target
from privmigrate.convert.width import read_width
from privmigrate.convert.words import named
from tests.convert.rewriting import CHMOD, op, rewritten, use
from tests.convert.test_rewrite import HEAD, IMPORTS, body

LONG = op("chmod", "PATH", name="chmod_with_a_name_that_is_rather_long")
HEAD_OF_IT = f"svc.privileged.files.{LONG.name}.neutron()("


def written(*lines: str, width: int = 79) -> str:
    source = IMPORTS + body(*lines)
    made = use(source, "utils.execute(", "path", of=LONG, convention=Convention.LIST)
    names = frozenset({f"{LONG.module}.{LONG.name}"})
    target = Target("svc.privileged", policies=True, entrypoints=names, width=width)
    after = rewritten(source, made, target=target).decode()
    compile(after, "driver.py", "exec")
    assert max(map(len, after.splitlines())) <= width
    return after.removeprefix(HEAD)


def test_a_head_that_is_too_long_begins_below_the_bracket_of_its_call() -> None:
    after = written("size = int(utils.execute(['chmod', path]).split()[1])")
    assert after == body("size = int(", f"    {HEAD_OF_IT}", "        path).split()[1])")
    after = written("if self.name == str(utils.execute(['chmod', path])):", "    pass", width=90)
    assert after == body("if self.name == str(", f"        {HEAD_OF_IT}path)):", "    pass")


def test_what_follows_a_call_without_arguments_counts() -> None:
    made = op("iptables", name="iptables_version")
    tail = ".split()[1][1:]"
    source = IMPORTS + body(f"version = str(utils.execute(['iptables']){tail})")
    made_use = use(source, "utils.execute(", of=made, convention=Convention.LIST)
    after = rewritten(source, made_use).decode()
    assert after == HEAD + body(
        "version = str(", f"    svc.privileged.files.iptables_version.neutron()(){tail})"
    )


def test_a_head_that_is_too_long_gets_brackets() -> None:
    after = written("self.result_of_it = utils.execute(['chmod', path]) + [1]")
    assert after == body("self.result_of_it = (", f"    {HEAD_OF_IT}", "        path)) + [1]")
    inner = ("if self.flag:", "    self.result_of_it = (utils.execute(['chmod', path]))")
    after = written(*inner, width=90)
    assert after == body(inner[0], "    self.result_of_it = ((", f"        {HEAD_OF_IT}path)))")
    whole = written(inner[1].strip(), width=120)
    assert whole == body(f"self.result_of_it = ({HEAD_OF_IT}path))")


def test_a_head_that_is_too_long_everywhere_is_parted_at_its_name() -> None:
    call = "utils.execute(['chmod', path])"
    deep = ("if self.one:", "    if self.two:", f"        {call}", f"        size = int({call})")
    source = IMPORTS + body(*deep[:3])
    made = use(source, "utils.execute(", "path", of=LONG, convention=Convention.LIST)
    width = len(HEAD_OF_IT) + 8
    names = frozenset({f"{LONG.module}.{LONG.name}"})
    target = Target("svc.privileged", policies=True, entrypoints=names, width=width)
    after = rewritten(source, made, target=target).decode()
    compile(after, "driver.py", "exec")
    assert after == HEAD + body(
        *deep[:2],
        "        (",
        "            svc.privileged.files",
        f"            .{LONG.name}.neutron()(path))",
    )
    source = IMPORTS + body(*deep[:2], deep[3])
    made = use(source, "utils.execute(", "path", of=LONG, convention=Convention.LIST)
    after = rewritten(source, made, target=target).decode()
    compile(after, "driver.py", "exec")
    assert max(map(len, after.splitlines())) <= width


def test_a_condition_fills_its_lines() -> None:
    made = op("chmod", "MODE", name="chmod", keywords=("mode",))
    source = IMPORTS + body("out = utils.execute(*cmd, run_as_root=True).split()")
    condition = "self.the_mode_of_this if self.the_mode_of_this_is_known else None"
    after = rewritten(source, use(source, "utils.execute(", condition, of=made)).decode()
    assert after == HEAD + body(
        "out = svc.privileged.files.chmod(",
        "    mode=(",
        "        self.the_mode_of_this if self.the_mode_of_this_is_known",
        "        else None)).split()",
    )


CMD = "cmd = ['chmod', '777', path]"
CALL = "utils.execute(*cmd, run_as_root=True)"
AGAIN = ("cmd = ['ls', path]", "self.show(cmd)")
MADE = "svc.privileged.files.chmod_777(path)"


def fixed(*lines: str) -> str:
    source = IMPORTS + body(*lines)
    return rewritten(source, use(source, "utils.execute(", "path")).decode().removeprefix(HEAD)


def test_a_list_that_is_made_anew_before_anything_reads_it_goes() -> None:
    assert fixed(CMD, CALL, *AGAIN) == body(MADE, *AGAIN)
    loop = ("for path in self.paths:", *(f"    {each}" for each in (CMD, CALL, *AGAIN)))
    assert fixed(*loop) == body(loop[0], f"    {MADE}", *(f"    {each}" for each in AGAIN))
    # an error may lead out of it, but nothing is read there
    tried = (
        "try:",
        *(f"    {each}" for each in (CMD, CALL, *AGAIN)),
        "except OSError:",
        "    pass",
    )
    assert fixed(*tried) == body(
        "try:", f"    {MADE}", *(f"    {each}" for each in AGAIN), "except OSError:", "    pass"
    )


@pytest.mark.parametrize(
    "lines",
    [
        (CMD, CALL, "self.show(cmd)", *AGAIN),
        (CMD, CALL, "if path:", "    return cmd", *AGAIN),
        (CMD, CALL, "cmd = [*cmd, path]", "self.show(cmd)"),
        (CMD, CALL, "show = lambda: cmd", *AGAIN),
        ("show = lambda: cmd", CMD, CALL, *AGAIN),
        ("while path:", f"    {CMD}", f"    {CALL}", "    if path:", "        break",
         *(f"    {each}" for each in AGAIN), "self.show(cmd)"),
        ("try:", f"    {CMD}", f"    {CALL}", *(f"    {each}" for each in AGAIN),
         "except OSError:", "    self.show(cmd)"),
        ("with self.suppress():", f"    {CMD}", f"    {CALL}", *(f"    {each}" for each in AGAIN),
         "self.show(cmd)"),
        ("cmd = self.count()", CALL, *AGAIN),
    ],
)  # fmt: skip
def test_a_list_that_something_may_read_stays(lines: tuple[str, ...]) -> None:
    assert fixed(*lines) == body(*(each.replace(CALL, MADE) for each in lines))


def test_a_comment_on_what_went_stands_at_what_follows() -> None:
    lines = ("# the mode is that of a share", CMD, "", "try:", f"    {CALL}", "except OSError:")
    assert fixed(*lines, "    raise") == body(
        lines[0], "try:", f"    {MADE}", "except OSError:", "    raise"
    )
    # but not at another comment
    after = fixed(lines[0], CMD, "", "# now", CALL)
    assert after == body(lines[0], "", "# now", MADE)


@pytest.mark.parametrize(
    ("word", "argument"),
    [
        ("'of=%s' % name", "name"),
        ("'of=%s' % (name,)", "name"),
        ("'of=' + self.name", "self.name"),
        ("'of=%d' % name", "f'{a}{b}'"),
        ("'if=%s' % name", "f'{a}{b}'"),
        ("'of=%s!' % name", "f'{a}{b}'"),
    ],
)
def test_a_word_that_is_put_together_at_the_call_keeps_its_name(word: str, argument: str) -> None:
    made = op("dd", "OF", name="dd", keywords=("of",))
    made = replace(made, words=(Hole(0, "of=", ""),))
    source = IMPORTS + body(
        "a = path", "b = path", "name = path", f"utils.execute('dd', {word}, run_as_root=True)"
    )
    after = rewritten(source, use(source, "utils.execute(", "f'{a}{b}'", of=made)).decode()
    assert f"svc.privileged.files.dd(of={argument})" in after


@pytest.mark.parametrize(
    ("texts", "number", "prefix", "names"),
    [
        (["truncate", "-s0", None], 2, "", []),
        (["mount.quobyte", "--disable-xattrs", None], 2, "", []),
        (["truncate", "--size", None], 2, "", ["size"]),
        (["qemu-img", "--object", None], 2, "secret,id=s0,file=", ["file"]),
        (["dd", None], 1, "of=/dev/", ["of"]),
    ],
)
def test_what_an_option_says_of_the_word_behind_it(
    texts: list[str | None], number: int, prefix: str, names: list[str]
) -> None:
    assert named(str(texts[0]), texts, number, prefix) == names


WIDTHS = {
    "tox.ini": ("[flake8]\nmax-line-length = 100\n", 100),
    "setup.cfg": ("[pycodestyle]\nmax_line_length=88\n", 88),
    ".flake8": ("[flake8]\nmax-line-length = 12\n", 79),
    "ruff.toml": ("line-length = 120\n", 120),
    "pyproject.toml": ("[tool.black]\nline-length = 100\n[tool.ruff]\nline-length = 90\n", 90),
    "no.txt": ("line-length = 100", 79),
}
BROKEN = {"tox.ini": "[flake8\n", "ruff.toml": "= =", "pyproject.toml": "[tool]\nruff = 1\n"}


@pytest.mark.parametrize(("name", "text", "width"), [(n, *row) for n, row in WIDTHS.items()])
def test_the_projects_own_width_counts(tmp_path: Path, name: str, text: str, width: int) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "svc").mkdir()
    assert read_width([str(tmp_path / "svc")]) == width


@pytest.mark.parametrize(("name", "text"), BROKEN.items(), ids=BROKEN)
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_width([str(tmp_path)]) == 79
    (tmp_path / name).write_bytes(b"\xff\xfe")
    assert read_width([str(tmp_path)]) == 79


def test_what_stands_in_front_is_imported_with_other_projects() -> None:
    source = "import os\n\nfrom oslo_log import log\n\nfrom svc import utils\n\n\n" + body(CALL)
    made = use(source, "utils.execute(", "path", under="Netns(path)")
    made = replace(made, imports=(("privmigrate.privsep.types", "Netns"),))
    after = rewritten(source, made).decode()
    assert after.startswith(
        "import os\n\nfrom oslo_log import log\nfrom privmigrate.privsep.types import Netns\n\n"
        "from svc.privileged import files as privileged_files\n"
    )
    assert CHMOD.name in after


def test_a_long_summary_is_alone_on_its_line() -> None:
    """H405 of hacking: nothing stands below the first line of a docstring but an empty one."""
    sentence = f"Run ``cinder-rtstool create {' '.join(['CHAP_AUTH_USERID'] * 4)}``."
    lines = docstring([sentence, "Called by ``f``."])
    assert lines[:2] == [
        '    """Run ``cinder-rtstool create CHAP_AUTH_USERID CHAP_AUTH_USERID ...``.',
        "",
    ]
    assert " ".join(" ".join(lines[2:]).split()).startswith(f"In full: run{sentence[3:]} Called")
    for room in range(60, 90):
        for others in ([], ["More."]):
            text = docstring([("ab " * 40)[:room].strip() + ".", *others])
            assert max(map(len, text)) <= 79
            assert len(text) == 1 or not text[1]
