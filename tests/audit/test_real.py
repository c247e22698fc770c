"""Real filters of twelve years: every file is judged, fast, and ten findings are known to be true.

The ten were checked by hand against oslo.rootwrap's sources and the tools' manual pages.
"""

import time
from collections import Counter
from pathlib import Path

import pytest

from privmigrate.audit.engine import judge
from privmigrate.audit.finding import Finding
from privmigrate.audit.gather import gather
from privmigrate.audit.tree import DiskTree


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


# Project, entry and finding, as they stand in the wheels that are shipped today.
TRUE = (
    ("manila", "cat", "PM107", "cat reads any file as root: cat /etc/shadow"),
    ("manila", "tee", "PM105", "tee writes any file as root: tee /etc/cron.d/x"),
    ("manila", "chown", "PM106", "chown takes over any file as root: chown nova /etc/passwd"),
    ("manila", "docker", "PM110", "docker runs any program as root: docker run"),
    ("manila", "rmconf", "PM101", "runs any program as root: sh -c"),
    ("manila", "rsync", "PM108", "rsync runs any program as root: rsync -e /tmp/x a: b"),
    ("cinder", "dd", "PM105", "dd writes any file as root: dd if=/tmp/x of=/etc/cron.d/x"),
    ("cinder", "ionice", "PM122", "runs any program called"),
    ("neutron", "privsep", "PM302", "never matches: PathFilter takes"),
    ("glance", "disk_chown", "PM308", "disk_chown narrows nothing: "),
)


@pytest.mark.parametrize(("project", "entry", "code", "message"), TRUE)
def test_a_finding_that_is_true(
    fetched_filters: list[Path], project: str, entry: str, code: str, message: str
) -> None:
    found = [
        finding.message
        for path in fetched_filters
        if project in str(path)
        for finding in findings_of(path)
        if finding.code == code
    ]
    assert any(message in text and text.startswith(entry) for text in found), found
