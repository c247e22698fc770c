"""What a daemon may be, and what that means for the process that becomes it."""

from typing import Final, NamedTuple

from privmigrate.errors import PrivmigrateError
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import Credentials

EXIT_CANNOT_DROP: Final = 50  # + the number of the step


class Profile(NamedTuple):
    """What a daemon may be, from its context and from files that root controls.

    Attributes:
        uid: the user to become; None stays.
        gid: the group to become; None stays.
        capabilities: all that it and its commands may ever hold; None is everything that the
            process has at the start. One that it asks for and does not have stops it.
        allow_setuid_binaries: commands may gain by setuid and file-capability programs, up to
            `capabilities` in number. Under uid 0, NOROOT still leaves a setuid-root program only
            what every command has; under another uid there is no NOROOT, so that such a program
            works.
        leak: as oslo.privsep has it: the daemon is limited, but commands of a root daemon regain
            everything, and those of another uid hold nothing.
        death_signal: sent when the THREAD that started the daemon ends; 0 for none.
        name: the context's, for ``privmigrate caps show``.
    """

    capabilities: CapabilitySet | None
    uid: int | None = None
    gid: int | None = None
    allow_setuid_binaries: bool = False
    leak: bool = False
    death_signal: int = 0
    name: str = ""


class Plan(NamedTuple):
    """A profile as it applies to this process: what is to be true at the end."""

    start: Credentials
    uid: int
    gid: int
    kept: CapabilitySet
    bind: bool
    noroot: bool
    no_new_privs: bool
    death_signal: int

    @property
    def unprivileged(self) -> bool:
        """A process without capabilities has none to drop and no means to; it stays so."""
        return not self.start.permitted and self.start.uids.effective != 0


class CannotDropError(PrivmigrateError):
    """A step did not do what it is for, so the daemon must not serve.

    Attributes:
        number: the step's; 0 if it failed before the first.
        exit_code: what the daemon exits with.
    """

    def __init__(self, number: int, step: str, why: str) -> None:
        super().__init__(f"cannot give up privilege, step {number} ({step}): {why}")
        self.number = number
        self.exit_code = EXIT_CANNOT_DROP + number


def make_plan(profile: Profile, start: Credentials) -> Plan:
    """Compare what is asked for with what there is; raise CannotDropError if too little."""
    if start.threads != 1:
        why = f"{start.threads} threads are running, and the steps are for one alone"
        raise CannotDropError(0, "alone", why)
    kept = start.permitted if profile.capabilities is None else profile.capabilities
    # INV-3: a daemon never serves with less than its context asks for.
    if missing := kept - start.permitted:
        why = (
            f"the context asks for {' '.join(missing.names)}, which this process does not hold:"
            " take it out of the context's capabilities, or let whoever starts the daemon"
            " (sudo, the container, the unit) give it"
        )
        raise CannotDropError(0, "capabilities", why)
    uid = start.uids.effective if profile.uid is None else profile.uid
    bind = not profile.leak
    return Plan(
        start=start,
        uid=uid,
        gid=start.gids.effective if profile.gid is None else profile.gid,
        kept=kept,
        bind=bind,
        noroot=bind and (uid == 0 or not profile.allow_setuid_binaries),
        no_new_privs=bind and not profile.allow_setuid_binaries,
        death_signal=profile.death_signal,
    )
