"""``privmigrate rewrite``: calls of executors become calls of entrypoints."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from privmigrate.cli import add_format, diff_of, print_diff, say
from privmigrate.diagnostics import printable
from privmigrate.errors import InputError

if TYPE_CHECKING:
    from privmigrate.callsites.files import SourceFile
    from privmigrate.convert.told import Told

OUT_OF_DATE: Final = 1

_DESCRIPTION: Final = """\
Replace calls that run commands as root by the entrypoints of a package that convert wrote.

PATH is a file or folder of the service's sources, its unit tests among them. Only what certainly
means the same is replaced; everything else is listed with the reason, and stays as it is.
"""
_EXAMPLE: Final = """\
examples:
  privmigrate convert etc/manila/rootwrap.d --callsites manila --package manila.privileged
  privmigrate rewrite manila --to manila.privileged --filters etc/manila/rootwrap.d --diff
  privmigrate rewrite manila --to manila.privileged --filters etc/manila/rootwrap.d
  privmigrate rewrite manila --to manila.privileged --check   # for CI: 1 if one can be replaced
exit codes: 0 written, shown or nothing to replace, 1 something would change (--check), 2 bad input.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLE
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="file or folder of the service's sources")
    add("--to", required=True, metavar="PACKAGE", help="the package that convert wrote")
    add("--output", default=".", metavar="DIR", help="the folder it is in (default: this one)")
    add(
        "--filters",
        action="append",
        default=[],
        metavar="PATH",
        help="the filters that it was made from (default: etc/*/rootwrap.d beside PATH)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--diff", action="store_true", help="show what would change, write nothing")
    what.add_argument("--check", action="store_true", help="exit with 1 if anything would change")
    add("--prove", metavar="DIR", help="write tests that compare each call with the one before it")
    add_format(parser, "what was done and what was left, as data")


def run(arguments: argparse.Namespace) -> int:
    """Rewrite; raise InputError for what cannot be used."""
    from privmigrate.convert.lock import NAME, write_sources
    from privmigrate.convert.told import lock_after, proofs, tell

    told = _compute(arguments)
    pairs = [(each.document, each.after) for each in told.rewriting.files]
    pairs += [(each.document, each.after) for each in told.tests.changes]
    changes = {Path(document.name): (document.data, after) for document, after in pairs}
    if arguments.prove:
        _write_proofs(Path(arguments.prove), proofs(told))
    diff = list(_diff(changes)) if arguments.diff else []
    if arguments.format == "json":
        data = told.as_json() | ({"diff": "".join(diff)} if arguments.diff else {})
        print(json.dumps(data, indent=2))
    else:
        print_diff(diff)
        for line in tell(told, brief=arguments.diff or arguments.check):
            print(printable(line), file=sys.stderr if arguments.diff else sys.stdout)
    if changes and not arguments.diff and not arguments.check:
        lock = lock_after(told)
        write_sources(changes | {Path(told.disk.folder, NAME): lock})
        say(f"wrote {len(changes)} file{'s' if len(changes) > 1 else ''}")
    return OUT_OF_DATE if arguments.check and (changes or told.withdrawn) else 0


def _compute(arguments: argparse.Namespace) -> "Told":
    """Everything that is to be written and told; nothing is written yet."""
    from privmigrate.callsites import find_sites
    from privmigrate.callsites.files import read_files
    from privmigrate.convert import Options, convert
    from privmigrate.convert.callers import rewrite_callers
    from privmigrate.convert.lock import read_disk
    from privmigrate.convert.replaced import still_called
    from privmigrate.convert.source import read_sources, relabel
    from privmigrate.convert.still import find_called
    from privmigrate.convert.told import Told, target_of
    from privmigrate.convert.unittests import move_tests
    from privmigrate.convert.width import read_width

    package: str = arguments.to
    folder = Path(arguments.output, *package.split("."))
    disk = read_disk(folder, package)
    if disk.lock is None:
        raise InputError(
            f"{folder}: error: there is no such package (run privmigrate convert --callsites "
            f"with --package {package} first)"
        )
    files, problems = read_files(arguments.paths, ())
    if not files and not problems:
        raise InputError(f"{' '.join(arguments.paths)}: error: no Python file there")
    texts = dict(_ours_to_change(files, folder, arguments.paths))
    findings = find_sites(arguments.paths)
    if findings.errors:
        # a class there may change what a call elsewhere means
        raise InputError(*map(str, findings.errors))
    for problem in sorted({*problems, *findings.diagnostics}, key=lambda each: each.span):
        say(str(problem))
    sources = read_sources(arguments.filters or _filters_beside(arguments.paths))
    target = replace(target_of(package, disk), width=read_width(arguments.paths))
    options = Options(
        package=package,
        runtime="privmigrate" if target.policies else "oslo",
        exec_dirs=sources.exec_dirs,
        called=find_called([file.data for file in files], disk.lock.files),
        replaced=still_called(disk.lock.replaced, files, elsewhere=True),
        local_injected=findings.local_injected,
    )
    rules = relabel(sources.rules, sources.labels)
    conversion = convert(rules, options, disk, findings.sites)
    rewriting = rewrite_callers(conversion.uses, conversion.unlinked, texts, target)
    tests = move_tests(rewriting.files, texts, target, findings.sites, options.replaced)
    for text in conversion.withdrawn:
        say(text)
    return Told(
        findings.sites,
        rewriting,
        tests,
        target,
        disk,
        texts,
        options.replaced,
        conversion.withdrawn,
    )


def _ours_to_change(
    files: "Sequence[SourceFile]", package: Path, paths: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """What lies in the given paths, outside of the package: what a link names may be another's."""
    roots = [Path(os.path.realpath(path)) for path in paths]
    own = Path(os.path.realpath(package))
    for file in files:
        real = Path(os.path.realpath(file.name))
        if own in real.parents:
            continue
        if any(root == real or root in real.parents for root in roots):
            yield file.name, file.data
        else:
            say(f"{file.name}: stays as it is: leads to {real}, which was not given")


def _filters_beside(paths: Sequence[str]) -> list[str]:
    """The filters that a checkout has beside the sources."""
    found: dict[str, None] = {}
    for path in paths:
        start = Path(path).absolute()
        for folder in (start, start.parent):
            for each in sorted(folder.glob("etc/*/rootwrap.d")):
                found[str(each)] = None
    if not found:
        raise InputError(f"{paths[0]}: error: has no etc/*/rootwrap.d beside it (say --filters)")
    return list(found)


def _write_proofs(folder: Path, texts: Mapping[str, str]) -> None:
    from privmigrate.convert.lock import write
    from privmigrate.convert.told import is_proof

    before = {
        name: (folder / name).read_text("utf-8", "replace")
        for name in texts
        if (folder / name).is_file()
    }
    for name, text in before.items():
        if not is_proof(name, text):
            raise InputError(f"{folder / name}: error: is no such test (choose another --prove)")
    write(folder, texts, before)
    count = f"{len(texts)} file{'s' if len(texts) > 1 else ''}"
    say(f"wrote {count} into {folder}/ (run them with pytest)")


def _diff(changes: Mapping[Path, tuple[bytes, bytes]]) -> Iterator[str]:
    for path, texts in sorted(changes.items()):
        before, after = (text.decode("utf-8", "replace") for text in texts)
        yield from diff_of([(str(path), before, after)])
