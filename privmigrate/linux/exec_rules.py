"""What a program gets at exec: the rules of capabilities(7), for showing, not for deciding.

tests/root runs programs and compares what they hold with what is said here.
"""

from dataclasses import dataclass

from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.linux.credentials import Credentials
from privmigrate.linux.thread import SecureBits


@dataclass(frozen=True, slots=True)
class AtExec:
    """The permitted set after an exec by one thread.

    Attributes:
        command: of an ordinary program.
        setuid_root: of a program that is set-user-ID root.
        file_capabilities: of a program whose file gives all capabilities.
        other_user: of an ordinary program after a setuid(2) to a uid that is neither 0 nor ours.
    """

    command: CapabilitySet
    setuid_root: CapabilitySet
    file_capabilities: CapabilitySet
    other_user: CapabilitySet


def predict(thread: Credentials, securebits: SecureBits) -> AtExec:
    """Apply the rules to a thread with these securebits."""
    is_root = 0 in {thread.uids.real, thread.uids.effective}
    everything = thread.bounding | thread.inheritable
    if thread.no_new_privs:
        everything &= thread.permitted
    root_counts = SecureBits.NOROOT not in securebits
    command = everything if is_root and root_counts else thread.ambient
    # the change of the uid clears the ambient set; under no_new_privs there is no change
    after_change = everything if root_counts else NONE
    setuid_root = command if is_root or thread.no_new_privs else after_change
    gained = thread.bounding & thread.permitted if thread.no_new_privs else thread.bounding
    clears = is_root and SecureBits.NO_SETUID_FIXUP not in securebits
    return AtExec(
        command=command,
        setuid_root=setuid_root,
        file_capabilities=command if is_root and root_counts else gained,
        other_user=NONE if clears else thread.ambient,
    )
