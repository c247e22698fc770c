"""Learn what real commands need on this machine, and print the share that verifies.

Usage, as root: python -m tools.learn_commands [--csv] [WORD...]

Each scenario is a command with what makes it repeatable and what shows its effect. Those whose
program is not installed are counted apart, and so are those that this kernel cannot do (they fail
for root too). With WORDs, only scenarios in whose command line one of them occurs. The scenarios
run in namespaces of their own (network, mounts, host name), in /var/tmp/pm-learn. --csv prints rows
as privsep/knowledge/commands.csv has them.
"""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from privmigrate.errors import InputError
from privmigrate.learn.confine import Command
from privmigrate.learn.experiment import Experiment, Learned, Plan
from privmigrate.learn.report import is_learned
from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.observe.watch import Watch, watching
from privmigrate.privsep.execute import PATH
from privmigrate.privsep.knowledge import lookup
from tools.learn_scenarios import FROM_PACKAGES, SCENARIOS, Scenario

FOLDER: Final = "/var/tmp/pm-learn"
UID: Final = 2000
INSIDE: Final = "PRIVMIGRATE_INSIDE"
LOOP: Final = "/dev/loop7"


def command(scenario: Scenario) -> Command | None:
    """What to run; None if it is not installed."""
    words = filled(scenario.line).split()
    executable = shutil.which(words[0], path=PATH)
    if executable is None:
        return None
    stdin = f"{FOLDER}.stdin" if scenario.stdin else None
    if stdin is not None:
        Path(stdin).write_text(scenario.stdin)
    return Command((executable, *words[1:]), {"PATH": PATH, "LC_ALL": "C.UTF-8"}, stdin)


def filled(text: str) -> str:
    """The text with folder and loop device."""
    return text.replace("@", FOLDER).replace("#", LOOP)


def plan(scenario: Scenario, what: Command) -> Plan:
    """Around every run a fresh folder; what the clean-up does not find is no matter."""
    fresh = "rm -rf @; mkdir -m 755 @\n"
    return Plan(
        what,
        UID,
        UID,
        set_up=filled(f"{fresh}{{ {scenario.set_up or ':'}\n}} >/dev/null"),
        check=filled(f"exec 2>/dev/null; {scenario.check}") if scenario.check else None,
        clean_up=filled(f"{{ {scenario.clean_up or ':'}\n}} >/dev/null 2>&1; rm -rf @"),
        timeout=20.0,
    )


def learn(chosen: list[Scenario], watch: Watch) -> Iterator[tuple[Scenario, Learned | str]]:
    """Learn each; the text says why not."""
    for scenario in chosen:
        what = command(scenario)
        if what is None:
            yield scenario, "not installed"
            continue
        try:
            argv = tuple(filled(scenario.line).split())
            learned = Experiment(plan(scenario, what), watch).learn(argv)
        except InputError as error:
            yield scenario, f"fails: {error}"
            continue
        if learned.code and not scenario.line.startswith("cryptsetup isLuks"):
            said = learned.remarks[0].rpartition("it said ")[2]
            yield scenario, f"fails for root here too: {said}"
        else:
            yield scenario, learned


def short(capabilities: CapabilitySet) -> str:
    """Without the prefix that all names have."""
    return str(capabilities).replace("CAP_", "").lower()


def describe(learned: Learned) -> str:
    """One line: as root, as the service's user, and how that compares with the table."""
    service = learned.service
    theirs = "?" if service is None else short(service.capabilities)
    if service is not None and service.status != "verified":
        theirs = service.status
    known = lookup(learned.argv)
    # who may override modes may read
    reads = CapabilitySet.of(Capability.CAP_DAC_READ_SEARCH)
    found = learned.root.capabilities | (service.capabilities if service else CapabilitySet())
    if known is None:
        compared = "not in the table"
    elif not known.bounded:
        compared = "without a set in the table"
    elif found == known.capabilities:
        compared = "as in the table"
    elif found <= known.capabilities or (
        Capability.CAP_DAC_OVERRIDE in known.capabilities and found - reads <= known.capabilities
    ):
        compared = "less than the table"
    else:
        compared = f"BEYOND THE TABLE: {short(found - known.capabilities)}"
    return f"{short(learned.root.capabilities)} | {theirs} | {compared}"


def row(learned: Learned) -> list[str]:
    """A row of the table of commands."""
    service = learned.service
    words = " ".join(learned.argv).replace(FOLDER, "/w").replace(LOOP, "/dev/loop0")
    return [
        learned.argv[0],
        "",
        "FORM",
        words,
        "FAMILY",
        learned.root.status,
        str(learned.root.capabilities),
        service.status if service else "not exercised",
        str(service.capabilities) if service else "none",
        learned.kernel,
        "traced, minimised, run again",
        "; ".join(learned.root.remarks),
    ]


def main() -> int:
    """Run in namespaces of our own."""
    if os.geteuid():
        print("learn_commands: needs root", file=sys.stderr)
        return 2
    if INSIDE not in os.environ:
        words = ("unshare", "--net", "--mount", "--uts", "--propagation", "private")
        again = (*words, sys.executable, "-m", "tools.learn_commands", *sys.argv[1:])
        return subprocess.run(again, env={**os.environ, INSIDE: "1"}, check=False).returncode
    as_csv = "--csv" in sys.argv
    wanted = [word for word in sys.argv[1:] if word != "--csv"]
    chosen = [
        s
        for s in (*SCENARIOS, *FROM_PACKAGES)
        if not wanted or any(word in s.line for word in wanted)
    ]
    started = time.monotonic()
    counts = dict.fromkeys(("verified", "not verified", "fails here", "not installed"), 0)
    runs = 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    with watching() as watch:
        for scenario, outcome in learn(chosen, watch):
            if isinstance(outcome, str):
                kind = outcome if outcome in counts else "fails here"
                text = outcome
            else:
                kind = "verified" if is_learned(outcome) else "not verified"
                text = describe(outcome)
                runs += outcome.root.runs + (outcome.service.runs if outcome.service else 0)
                if as_csv:
                    writer.writerow(row(outcome))
            counts[kind] += 1
            if not as_csv:
                print(f"{kind:<14} {scenario.line}: {text}", flush=True)
    tried = counts["verified"] + counts["not verified"]
    print(
        f"{counts['verified']} of {tried} commands verified; {counts['fails here']} fail here for"
        f" root too, {counts['not installed']} are not installed; {runs} runs,"
        f" {time.monotonic() - started:.0f} s",
        file=sys.stderr,
    )
    return 0 if counts["verified"] == tried else 1


if __name__ == "__main__":
    sys.exit(main())
