"""Real filters of twelve years: every file is judged, fast, and ten findings are known to be true.

The ten were checked by hand against oslo.rootwrap's sources and the tools' manual pages.
"""

import shlex
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from oslo_rootwrap import filters as theirs
from oslo_rootwrap import wrapper

from privmigrate.audit.engine import judge
from privmigrate.audit.finding import Finding
from privmigrate.audit.gather import gather
from privmigrate.audit.tree import DiskTree
from tools import audit_counts


def findings_of(path: Path) -> tuple[Finding, ...]:
    return judge(gather(DiskTree(), (str(path),), trust=False))


def test_every_real_file_is_judged_and_a_thousand_entries_take_less_than_two_seconds(
    real_filters: list[Path],
) -> None:
    entries = 0
    counts: Counter[str] = Counter()
    begin = time.process_time()
    for path in real_filters:
        evidence = gather(DiskTree(), (str(path),), trust=False)
        entries += sum(1 for _ in evidence.entries)
        counts.update(finding.code for finding in judge(evidence))
    spent = time.process_time() - begin
    assert entries > 100
    assert spent / entries * 1000 < 2
    assert counts["PM001"] == 0
    assert counts["PM105"] > 0


@dataclass(frozen=True)
class Checked:
    """A finding in the wheels that are shipped today, and what oslo.rootwrap makes of `line`.

    `by` is the entry that lets it pass, "" for none.
    """

    project: str
    entry: str
    code: str
    message: str
    line: str
    by: str


TRUE: Final = (
    Checked("manila", "cat", "PM107", "cat reads any file as root: cat /etc/shadow",
            "cat /etc/shadow", "cat"),
    Checked("manila", "tee", "PM105", "tee writes any file as root: tee /etc/cron.d/x",
            "tee /etc/cron.d/x", "tee"),
    Checked("manila", "chown", "PM106", "chown takes over any file as root: chown nova /etc/passwd",
            "chown nova /etc/passwd", "chown"),
    Checked("manila", "docker", "PM110", "docker runs any program as root: docker run",
            "docker run -v /:/m -t x chroot /m /tmp/x", "docker"),
    Checked("manila", "rmconf", "PM101", "runs any program as root: sh -c",
            "sh -c 'rm -f /tmp/f; /tmp/x; rm -f /tmp/*.conf'", "rmconf"),
    Checked("manila", "rsync", "PM108", "rsync runs any program as root: rsync -e /tmp/x a: b",
            "rsync -e /tmp/x a: b", "rsync"),
    Checked("cinder", "dd", "PM105", "dd writes any file as root: dd if=/tmp/x of=/etc/cron.d/x",
            "dd if=/tmp/x of=/etc/cron.d/x", "dd"),
    Checked("cinder", "ionice_1", "PM122", "runs any program called",
            "ionice -c2 -n0 /tmp/chown 0 x", "ionice_1"),
    Checked("neutron", "privsep", "PM302", "never matches: PathFilter takes",
            "privsep-helper --config-file /etc/neutron/neutron.conf --privsep_context"
            " neutron.privileged.default --privsep_sock_path /tmp/s", "privsep-helper"),
    Checked("glance", "disk_chown", "PM308", "disk_chown narrows nothing: ",
            "chown 0 /etc/passwd", "chown"),
)  # fmt: skip


@pytest.mark.parametrize("checked", TRUE, ids=lambda one: f"{one.project} {one.entry}")
def test_a_finding_that_is_true(fetched_filters: list[Path], checked: Checked) -> None:
    """The finding is there, and oslo.rootwrap lets the line pass by the entry that is named."""
    for path in (path for path in fetched_filters if checked.project in str(path)):
        messages = [one.message for one in findings_of(path) if one.code == checked.code]
        if any(text.startswith(checked.entry) and checked.message in text for text in messages):
            break
    else:
        pytest.fail("no such finding")
    filters = wrapper.load_filters([str(path.parent)])
    found: theirs.CommandFilter | None
    try:
        found = wrapper.match_filter(filters, shlex.split(checked.line), exec_dirs=["/bin"])
    except wrapper.FilterMatchNotExecutable as error:  # the program is not installed here
        found = error.match
    assert found is not None
    assert found.name == checked.by


def test_the_counts_of_the_manual_are_those_of_the_releases(fetched_filters: list[Path]) -> None:
    """`python -m tools.audit_counts` counts anew; the corpus is counted where it is."""
    folder = audit_counts.FETCHED
    assert all(path.is_relative_to(folder) for path in fetched_filters)
    _, counts = audit_counts.count(folder)
    recorded = {code: found for code, (found, _) in audit_counts.recorded().items() if found}
    assert recorded == dict(counts)
