"""What the kernel prints, read back: lines in the form of Linux 6.18, and of 6.1 for kprobes."""

import pytest

from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet
from privmigrate.observe.candidate import Observed, summarise
from privmigrate.observe.sources import SOURCES
from privmigrate.observe.sources.base import Check, find_mark, parse_trace
from privmigrate.observe.sources.kprobe import Kprobe
from privmigrate.observe.sources.tracepoint import Tracepoint
from tools.modules import PACKAGE

HEAD = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 57/57   #P:2
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
            bash-23237   [000] ...1.  5753.799848: tracing_mark_write: tok-23237
"""
NS = "00000000adc7ca7a"
NOISE = f"""\
           chown-23238   [001] .....  5753.800995: cap_capable: cred 00000000cf2c13a0, \
target_ns {NS}, capable_ns {NS}, cap 21, ret 0
           chown-23238   [001] .....  5753.801437: <stack trace>
 => trace_event_raw_event_cap_capable
 => cap_capable
 => security_vm_enough_memory_mm
 => mmap_region
"""


def asked(
    cap: int, *stack: str, ret: int = 0, pid: int = 23238, ns: str = NS, comm: str = "chown"
) -> str:
    start = f"{comm:>16}-{pid}   [000] .....  5753.800995: "
    frames = "".join(f" => {function}\n" for function in ("cap_capable", *stack))
    fields = f"cred 00000000cf2c13a0, target_ns {NS}, capable_ns {ns}, cap {cap}, ret {ret}"
    return f"{start}cap_capable: {fields}\n{start}<stack trace>\n{frames}"


def observed(text: str) -> Observed:
    return summarise(Tracepoint().checks(parse_trace(HEAD + NOISE + text)))


def test_a_granted_check_is_seen_and_memory_accounting_is_not() -> None:
    found = observed(asked(0, "ns_capable", "setattr_prepare"))
    assert found.granted == CapabilitySet.of(Capability.CAP_CHOWN)
    assert found.refused == found.unaudited == NONE
    assert found.events == 2


def test_the_noise_alone_is_a_sign_of_life_and_no_candidate() -> None:
    found = observed("")
    assert (found.granted, found.events) == (NONE, 1)
    assert summarise(()).events == 0


def test_the_mark_tells_the_global_pid() -> None:
    assert find_mark(HEAD, "tok-23237") == 23237
    assert find_mark(HEAD, "tok-2323") is None


def test_a_refused_check_is_kept_apart() -> None:
    found = observed(asked(12, "ns_capable", ret=-1, ns="0000000000000000"))
    assert found.granted == NONE
    assert found.refused == CapabilitySet.of(Capability.CAP_NET_ADMIN)


def test_checks_without_audit_record_are_told_by_the_stack() -> None:
    found = observed(asked(12, "ns_capable_noaudit", "net_ctl_permissions"))
    assert found.unaudited == CapabilitySet.of(Capability.CAP_NET_ADMIN)
    assert found.granted == NONE
    both = observed(asked(12, "ns_capable_noaudit") + asked(12, "ns_capable"))
    assert both.granted == CapabilitySet.of(Capability.CAP_NET_ADMIN)
    assert both.unaudited == NONE


def test_what_belongs_to_a_namespace_of_its_own_does_not_count() -> None:
    """`unshare --user` makes its caller almighty inside, and asks for nothing outside."""
    assert observed(asked(21, "ns_capable", ns="00000000deadbeef")).granted == NONE


def test_without_a_granted_sign_of_life_every_namespace_counts() -> None:
    events = parse_trace(asked(21, "ns_capable", ns="00000000deadbeef"))
    granted = summarise(Tracepoint().checks(events)).granted
    assert granted == CapabilitySet.of(Capability.CAP_SYS_ADMIN)


def test_a_stack_belongs_to_its_process_though_another_cpu_spoke_in_between() -> None:
    one, other = asked(21, "security_vm_enough_memory_mm"), asked(0, "setattr_prepare", pid=7)
    first, _, noise = one.partition("\n")
    second, _, rest = other.partition("\n")
    found = observed(f"{first}\n{second}\n{noise}{rest}")
    assert found.granted == CapabilitySet.of(Capability.CAP_CHOWN)


def test_a_process_may_call_itself_anything() -> None:
    for comm in ("a b-7 [001]", "x-1", "=> y", "a\nb", "cap_capable: c"):
        found = observed(asked(0, "ns_capable", comm=comm))
        assert found.granted == CapabilitySet.of(Capability.CAP_CHOWN), comm


@pytest.mark.parametrize("text", ["", "\n", "garbage\n => frame\n", "x-1 [000] ... 1.0: \n"])
def test_lines_that_are_not_the_kernels_are_passed_over(text: str) -> None:
    assert list(Tracepoint().checks(parse_trace(text))) == []


KPROBE = """\
           chown-87      [000] .....     3.790052: cap_asked: (cap_capable+0x0/0x80) cap=0 opts=0
           chown-87      [000] .....     3.790055: <stack trace>
 => cap_capable
 => security_capable
 => setattr_prepare
           other-88      [001] .....     3.790060: cap_asked: (cap_capable+0x0/0x80) cap=12 opts=2
           other-88      [001] .....     3.790070: cap_answered: (security_capable+0x40/0x60 \
<- cap_capable) ret=-1
           chown-87      [000] .....     3.790607: cap_answered: (security_capable+0x40/0x60 \
<- cap_capable) ret=0
           chown-87      [000] .....     3.790807: cap_asked: (cap_capable+0x0/0x80) cap=21 opts=2
           chown-87      [000] .....     3.790808: <stack trace>
 => cap_capable
 => cap_vm_enough_memory
           chown-87      [000] .....     3.790810: cap_answered: (security_capable+0x40/0x60 \
<- cap_capable) ret=0
           chown-87      [000] .....     3.790811: cap_answered: (security_capable+0x40/0x60 \
<- cap_capable) ret=0
"""


def test_a_kprobes_questions_find_their_answers() -> None:
    checks = list(Kprobe().checks(parse_trace(KPROBE)))
    assert checks == [
        Check(88, 12, granted=False, noise=False, audited=False),
        Check(87, 0, granted=True, noise=False, audited=True),
        Check(87, 21, granted=True, noise=True, audited=False),
    ]


def test_every_source_is_in_the_table() -> None:
    files = {path.stem for path in (PACKAGE / "observe/sources").glob("*.py")}
    assert files - {"__init__", "base"} == {source.name for source in SOURCES}
