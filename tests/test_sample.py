"""The sample service's filters are what they claim to be: oslo.rootwrap itself reads them."""

import configparser
from typing import Final

import pytest
from oslo_rootwrap import filters as oslo_filters
from oslo_rootwrap import wrapper

from tools.modules import PROJECT

SAMPLE: Final = PROJECT / "filters" / "sample"
EXEC_DIRS: Final = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"]
KINDS: Final = {
    "CommandFilter", "RegExpFilter", "PathFilter", "EnvFilter", "KillFilter", "ReadFileFilter",
    "IpFilter", "IpNetnsExecFilter", "ChainingRegExpFilter",
}  # fmt: skip

ALLOWED: Final = (
    ("chown", "1000", "/var/lib/sample/images/disk.img"),
    ("chmod", "0640", "/var/lib/sample/images/disk.img"),
    ("find", "/srv", "-maxdepth", "1", "-inum", "42"),
    ("dd", "if=/dev/zero", "of=/var/lib/sample/images/d", "bs=512", "count=1", "conv=notrunc"),
    ("mkfs", "-t", "ext4", "-L", "data", "/var/lib/sample/images/disk.img"),
    ("env", "LC_ALL=C", "BLOCK_SIZE=512", "du", "-s", "/srv"),
    (
        *("ionice", "-c3"),
        *("dd", "if=/dev/zero", "of=/var/lib/sample/images/d", "bs=1", "count=1", "conv=fsync"),
    ),
    ("ionice", "-c2", "-n7", "mount"),
    ("cat", "/etc/sample/backend.key"),
    ("mount", "-t", "tmpfs", "none", "/mnt"),
    ("ip", "link", "show"),
    ("ip", "netns", "exec", "qrouter-1", "sysctl", "-w", "net.ipv4.ip_forward=1"),
    ("arping", "-A", "-I", "eth0", "-c", "3", "10.0.0.1"),
    ("id", "-u"),
)
DENIED: Final = (
    ("chown", "1000", "/etc/passwd"),
    ("chmod", "4755", "/var/lib/sample/images/disk.img"),
    ("dd", "if=/etc/shadow", "of=/var/lib/sample/images/d", "bs=1", "count=1", "conv=fsync"),
    ("cat", "/etc/shadow"),
    ("ip", "netns", "exec", "qrouter-1", "sh"),
    ("sh",),
)


Filters = list[oslo_filters.CommandFilter]


@pytest.fixture(scope="module")
def filters() -> Filters:
    return list(wrapper.load_filters([str(SAMPLE / "rootwrap.d")]))


def test_every_class_is_shown_and_none_is_skipped(
    filters: Filters, caplog: pytest.LogCaptureFixture
) -> None:
    assert {type(item).__name__ for item in filters} == KINDS
    assert [record.getMessage() for record in caplog.records] == []


def test_the_configuration_is_one_that_rootwrap_accepts() -> None:
    parser = configparser.RawConfigParser()
    parser.read(SAMPLE / "rootwrap.conf")
    config = wrapper.RootwrapConfig(parser)
    assert config.filters_path == ["/etc/sample/rootwrap.d"]
    assert config.exec_dirs == EXEC_DIRS


@pytest.mark.parametrize("argv", ALLOWED, ids=" ".join)
def test_rootwrap_allows_what_the_sample_service_runs(
    argv: tuple[str, ...], filters: Filters
) -> None:
    try:
        wrapper.match_filter(filters, list(argv), exec_dirs=EXEC_DIRS)
    except wrapper.FilterMatchNotExecutable:
        """Allowed; this machine does not have the command."""


@pytest.mark.parametrize("argv", DENIED, ids=" ".join)
def test_rootwrap_denies_what_it_does_not(argv: tuple[str, ...], filters: Filters) -> None:
    with pytest.raises(wrapper.NoFilterMatched):
        wrapper.match_filter(filters, list(argv), exec_dirs=EXEC_DIRS)
