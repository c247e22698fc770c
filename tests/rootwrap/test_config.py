"""rootwrap.conf is read, defaulted and refused as by the installed oslo.rootwrap."""

import configparser
import logging
import logging.handlers
import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oslo_rootwrap import wrapper

from privmigrate.errors import InputError
from privmigrate.rootwrap.config import RootwrapConfig, load_config, parse_config

CONF: Final = Path(__file__).resolve().parents[2] / "filters" / "conf"
FIELDS: Final = (
    "filters_path", "exec_dirs", "use_syslog", "syslog_log_facility", "syslog_log_level",
    "daemon_timeout", "rlimit_nofile",
)  # fmt: skip
REFUSED: Final = {
    "no_filters_path": "{}: error: has no filters_path in [DEFAULT]",
    "twice": "{}:4:1: error: Filters_Path stands here and in line 3",
    "sections_twice": "{}:7:1: error: the section [xenapi] stands here and in line 6",
    "bad_facility": "{}:4:21: error: syslog_log_facility cannot be 'moon' (one of kern, user,",
    "bad_level": "{}:4:18: error: syslog_log_level cannot be 'LOUD' (a level of Python's logging",
    "bad_boolean": "{}:4:12: error: use_syslog cannot be 'perhaps' (one of 1, yes, true, on, 0,",
    "bad_timeout": "{}:4:16: error: daemon_timeout cannot be '1m' (a whole number of seconds)",
    "bad_limit": "{}:4:15: error: rlimit_nofile cannot be 'many' (a whole number)",
}


def ask_oslo(path: Path) -> dict[str, object] | None:
    """What oslo.rootwrap makes of a file; None where it exits with 97."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path)
        read = wrapper.RootwrapConfig(parser)
    except (ValueError, configparser.Error):
        return None
    return {name: getattr(read, name) for name in FIELDS}


def compare(path: Path) -> RootwrapConfig | None:
    theirs = ask_oslo(path)
    if theirs is None:
        with pytest.raises(InputError) as caught:
            load_config(str(path))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        return None
    ours = load_config(str(path))
    found = {name: getattr(ours, name) for name in FIELDS}
    assert found == {
        name: tuple(value) if isinstance(value, list) else value for name, value in theirs.items()
    }
    assert isinstance(ours.use_syslog, bool)
    return ours


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.conf")))
def test_our_samples_are_read_as_by_oslo_rootwrap(name: str) -> None:
    path = CONF / f"{name}.conf"
    assert (compare(path) is None) == (name in REFUSED)
    if name in REFUSED:
        with pytest.raises(InputError) as caught:
            load_config(str(path))
        assert str(caught.value).startswith(REFUSED[name].format(path))


def test_the_full_sample() -> None:
    assert load_config(str(CONF / "full.conf")) == RootwrapConfig(
        filters_path=("/etc/sample/rootwrap.d", "/usr/share/sample/rootwrap"),
        exec_dirs=("/sbin", "/usr/sbin", "/bin", "/usr/bin"),
        use_syslog=True,
        syslog_log_facility=16,
        syslog_log_level=logging.INFO,
        daemon_timeout=60,
        rlimit_nofile=4096,
        file=str(CONF / "full.conf"),
    )


def test_exec_dirs_are_the_callers_path_where_the_file_does_not_say() -> None:
    data = (CONF / "minimal.conf").read_bytes()
    read = parse_config(data, "minimal.conf", {"PATH": "/a:/b:"})
    assert read.exec_dirs == ("/a", "/b", "")
    assert not read.exec_dirs_given
    assert parse_config(data, "minimal.conf", {}).exec_dirs == ()
    assert parse_config(data, "minimal.conf").exec_dirs == tuple(os.environ["PATH"].split(":"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.conf: error: cannot be read: No such file"):
        load_config(str(tmp_path / "absent.conf"))
    with pytest.raises(InputError, match="Is a directory"):
        load_config(str(tmp_path))
    with pytest.raises(InputError, match="null byte"):
        load_config("a\0b")


@pytest.mark.parametrize(
    "value",
    [
        *(name for name in dir(logging.handlers.SysLogHandler) if name.isupper()),
        *logging.handlers.SysLogHandler.facility_names,
        "LOCAL0", "log_user", "", "LOG_SOLARIS-CRON",
    ],
)  # fmt: skip
def test_every_facility_of_syslog(value: str, tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_text(f"[DEFAULT]\nfilters_path=x\nsyslog_log_facility={value}\n")
    compare(path)


def test_a_facility_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """oslo.rootwrap takes any attribute of the handler, and fails when it logs."""
    path = tmp_path / "one.conf"
    path.write_text("[DEFAULT]\nfilters_path=x\nsyslog_log_facility=emit\n")
    read = ask_oslo(path)
    assert read is not None
    assert callable(read["syslog_log_facility"])
    with pytest.raises(InputError, match="cannot be 'emit'"):
        load_config(str(path))


NAMES = st.sampled_from(("filters_path", "Use_Syslog", *FIELDS[1:], "other"))
VALUES = st.sampled_from(
    ("", "a,b", " 6_0 ", "-1", "1", "on", "Off", "TRUE", "info", "Level 5", "NOTSET", "warn",
     "\u0665", "1.5", "x" * 20, "9" * 5000, "a\n  b", "local0", "LOG_USER", "LOG_DEBUG", "%(x)s"),
) | st.text(max_size=8)  # fmt: skip


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.builds("{}={}".format, NAMES, VALUES)
        | st.sampled_from(("[DEFAULT]", "[other]", "", "# x", "junk", " more")),
        max_size=6,
    ),
    headers=st.integers(0, 1),
)
@example(lines=["filters_path=x", "[DEFAULT]", "filters_path=y"], headers=1)
@example(lines=["syslog_log_level=info"], headers=1)
@example(lines=["filters_path=x", "use_syslog=\u0130"], headers=1)
def test_any_file_is_read_as_by_oslo_rootwrap(
    lines: list[str],
    headers: int,
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.conf"
    text = "\n".join(["[DEFAULT]\nfilters_path=x"] * headers + lines)
    path.write_bytes(text.encode(errors="surrogatepass"))
    compare(path)


def test_an_undecodable_file_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_bytes(b"[DEFAULT]\nfilters_path=/etc/\xff\n")
    assert compare(path) is None
    with pytest.raises(InputError, match=r"one\.conf:2:19: error: cannot be read as"):
        load_config(str(path))
