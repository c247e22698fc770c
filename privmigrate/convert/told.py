"""What a rewriting came to, in words, as data, and as tests that prove it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from privmigrate.callsites.given import carrying
from privmigrate.callsites.reasons import Total, explain, totals
from privmigrate.callsites.site import Reason, Site
from privmigrate.convert.callers import FileChange, Rewriting
from privmigrate.convert.document import Document, read
from privmigrate.convert.lock import NAME, Disk, print_lock
from privmigrate.convert.merge import State
from privmigrate.convert.prove import CONFTEST, PROVES, test_module
from privmigrate.convert.reasons import STAYS
from privmigrate.convert.replace import Target
from privmigrate.convert.replaced import Replaced, remembered
from privmigrate.convert.unittests import MovedTests
from privmigrate.convert.use import Form, callers_of
from privmigrate.diagnostics import counted
from privmigrate.errors import InternalError


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that is to be written and told.

    Attributes:
        files: the service's, as they were.
        replaced: calls of earlier runs.
        withdrawn: says of which of them a person's word is gone.
    """

    sites: tuple[Site, ...]
    rewriting: Rewriting
    tests: MovedTests
    target: Target
    disk: Disk
    files: Mapping[str, bytes]
    replaced: tuple[Replaced, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain values for ``--json``."""
        left = {each.span for each in self.rewriting.left}
        return {
            "summary": counts(self),
            "rewritten": [
                {
                    "file": change.document.name,
                    "line": each.use.site.span.line,
                    "form": each.use.form.value,
                    "before": each.before,
                    "after": each.after,
                    "callers": [str(span) for span in callers_of(each.use.site, left)],
                }
                for change in self.rewriting.files
                for each in change.replacements
            ],
            "removed": [
                {"file": change.document.name, "line": line, "what": what}
                for change in self.rewriting.files
                for line, what in change.removed
            ],
            "left": [
                {
                    "file": each.span.file,
                    "line": each.span.line,
                    "code": each.code,
                    "message": each.text,
                }
                for each in self.rewriting.left
            ],
            "left_by_reason": [each.as_json() for each in left_by_reason(self)],
            "unused_imports": [
                {"file": each.span.file, "line": each.span.line, "name": each.name,
                 "named_in": each.elsewhere}
                for change in self.rewriting.files
                for each in change.kept
            ],
            "tests": [
                {"file": each.document.name, "assertions": each.assertions}
                for each in self.tests.changes
            ],
            "forwarding": [
                {"file": span.file, "line": span.line}
                for each in self.tests.changes
                for span in each.fixtures
            ],
            "tests_left": [
                {"file": each.span.file, "line": each.span.line, "message": each.text}
                for each in self.tests.listed
            ],
        }  # fmt: skip


def counts(told: Told) -> dict[str, int]:
    """The figures of a summary; wrappers are no call sites of their own."""
    done = [each for change in told.rewriting.files for each in change.replacements]
    forms = Counter(each.use.form for each in done if each.use.site.given is None)
    wrappers = sum(Reason.WRAPPER in site.reasons for site in told.sites)
    own = {site.span: site for site in told.sites if carrying(site) is not None}
    left = [each for each in told.rewriting.left if each.code != Reason.WRAPPER.value]
    spans = {each.span for each in left}
    through = [span for each in done for span in callers_of(each.use.site, spans)]
    return {
        "sites": len(told.sites) - wrappers,
        "typed": forms[Form.TYPED],
        "checked": forms[Form.CHECKED],
        "through": len(through),
        "wrappers": len(done) - forms.total(),
        "left": sum(
            len(callers_of(own[each.span], spans)) if each.span in own else 1 for each in left
        ),
        "files": len(told.rewriting.files),
        "test_files": len(told.tests.changes),
        "assertions": sum(each.assertions for each in told.tests.changes),
        "assertions_forwarded": told.tests.forwarded,
        "assertions_left": len(told.tests.listed),
    }


def left_by_reason(told: Told) -> tuple[Total, ...]:
    """How many calls stay for which reason; of several reasons, each counts."""
    return totals((code for each in told.rewriting.left for code in each.codes), STAYS)


def tell(told: Told, *, brief: bool) -> Iterator[str]:
    """Lines for a person: what is rewritten, what stays and why, and the figures."""
    for change in told.rewriting.files:
        for each in () if brief else change.replacements:
            yield f"{each.use.site.span}: {each.after}"
        for line, what in () if brief else change.removed:
            yield f"{change.document.name}:{line}: removed: {what}"
        for kept in change.kept:
            yield f"{kept.span}: {kept.name} is not used any more, but {kept.elsewhere} names it"
    for left in told.rewriting.left:
        yield f"{left.span}: left: {left.text} ({left.code})"
    for test in () if brief else told.tests.changes:
        for span in test.fixtures:
            yield f"{span}: commands of entrypoints are forwarded to what tests mock"
    for listed in told.tests.listed:
        yield f"{listed.span}: test left: {listed.text}"
    if reasons := left_by_reason(told):
        yield "calls that are left, by reason:"
        yield from explain(reasons)
    found = counts(told)
    wrappers = f", {found['through']} through {counted(found['wrappers'], 'wrapper')}"
    yield (
        f"{found['typed'] + found['checked'] + found['through']} of {found['sites']} calls in "
        f"{counted(found['files'], 'file')}: "
        f"{found['typed']} typed, {found['checked']} with a checked list"
        f"{wrappers if found['wrappers'] else ''}; {found['left']} left; "
        f"{found['assertions']} assertions of tests moved, "
        f"{found['assertions_forwarded']} forwarded, {found['assertions_left']} left"
    )


def target_of(package: str, disk: Disk) -> Target:
    """What the package on disk has."""
    files = disk.lock.files if disk.lock else {}
    names = frozenset(
        f"{file.removesuffix('.py')}.{record.name}"
        for file, entry in files.items()
        for record in entry.records
        if record.state is not State.DELETED
    )
    contexts = disk.texts.get("__init__.py", "")
    return Target(package, policies="oslo_privsep" not in contexts, entrypoints=names)


def lock_after(told: Told) -> tuple[bytes, bytes]:
    """The package's lock as it was, and with the calls that were replaced now."""
    if told.disk.lock is None:
        raise InternalError("calls were replaced by a package that is not there")
    now = (
        remembered(
            each.use.op.key,
            f"{each.use.op.module}.{each.use.op.name}",
            each.use.site,
            told.tests.calls.get(each.use.site.span, ""),
        )
        for change in told.rewriting.files
        for each in change.replacements
    )
    lock = replace(told.disk.lock, replaced=(*told.replaced, *now))
    before = Path(told.disk.folder, NAME).read_bytes()
    return before, print_lock(lock).encode("utf-8", "surrogateescape")


def proofs(told: Told) -> dict[str, str]:
    """Tests that compare every call with the one before it, by file name."""
    top, *_ = told.target.package.split(".")
    texts: dict[str, str] = {}
    own = {change.document.name: change.document for change in told.rewriting.files}
    left = {each.span for each in told.rewriting.left}

    def document_of(name: str) -> Document:
        if name not in own:
            own[name] = read(name, told.files[name])
        return own[name]

    for change in told.rewriting.files:
        stem = _stem(change)
        names = (f"{stem}{number or ''}.py" for number in count())
        name = next(name for name in names if name not in texts)
        texts[name] = test_module(change, told.target, document_of, left)
    folder = _top_folder([change.document.name for change in told.rewriting.files], top)
    texts["conftest.py"] = CONFTEST.format(top=top, folder=folder)
    return texts


def is_proof(name: str, text: str) -> bool:
    """Whether a file of a proof's name is one, and not a person's own test."""
    return (CONFTEST.partition("\n")[0] if name == "conftest.py" else PROVES) in text


def _stem(change: FileChange) -> str:
    module = change.replacements[0].use.site.module or Path(change.document.name).stem
    return re.sub(r"\W", "_", f"test_{module}")


def _top_folder(names: Sequence[str], top: str) -> str:
    for name in names:
        for folder in Path(name).absolute().parents:
            if folder.name == top:
                return str(folder)
    return str(Path(top).absolute())
