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
from dataclasses import dataclass
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

FOLDER: Final = "/var/tmp/pm-learn"
UID: Final = 2000
INSIDE: Final = "PRIVMIGRATE_INSIDE"
LOOP: Final = "/dev/loop7"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One command; in its texts @ is the folder and # the loop device."""

    line: str
    set_up: str = ""
    check: str = ""
    clean_up: str = ""
    stdin: str = ""


# who is 3000 is somebody else: neither root nor the service
_FILE: Final = "echo x >@/f; chown 3000:3000 @/f; chmod 600 @/f"
_TREE: Final = (
    "mkdir -p @/d/e; echo x >@/d/e/f; chown -R 3000:3000 @/d; chmod -R go= @/d; mkdir -p @/o;"
    " chown 3000:3000 @/o; chmod 700 @/o"
)
_STAT: Final = "stat -c '%a %u %g %s %F' @/f"
_LOOP: Final = "truncate -s 64M @/img; losetup # @/img"
_EXT4: Final = f"{_LOOP}; mkfs.ext4 -qF #"
_OFF: Final = "losetup -d #"
_VETH: Final = "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up"
_ADDR: Final = f"{_VETH}; ip addr add 10.1.0.1/24 dev v0; ip link set lo up"
_NO_VETH: Final = "ip link del v0"
_HASH: Final = "sha256sum <#"

SCENARIOS: Final = (
    Scenario("chown 1:1 @/f", _FILE, _STAT),
    Scenario("chown -R 1:1 @/d", _TREE, "find @/d -printf '%P %u %g\n' | sort"),
    Scenario("chgrp 1 @/f", _FILE, _STAT),
    Scenario("chmod 644 @/f", _FILE, _STAT),
    Scenario("chmod 2770 @/d", _TREE, "stat -c %a @/d"),
    Scenario("cat @/f", _FILE),
    Scenario("head -n 1 @/f", _FILE),
    Scenario("md5sum @/f", _FILE),
    Scenario("tee @/f", _FILE, "cat @/f", stdin="new\n"),
    Scenario("dd if=/dev/zero of=@/f bs=1 count=9 status=none", _FILE, _STAT),
    Scenario("mkdir @/d/new", _TREE, "ls @/d"),
    Scenario("rmdir @/d/e/g", f"{_TREE}; mkdir @/d/e/g", "ls @/d/e"),
    Scenario("rm -rf @/d", _TREE, "ls @"),
    Scenario("cp -p @/f @/g", _FILE, "stat -c '%a %u %g' @/g; cat @/g"),
    Scenario("cp -a @/d @/d2", _TREE, "find @/d2 -printf '%P %u %g %m\n' | sort"),
    Scenario("mv @/d/e/f @/o/f", _TREE, "ls -R @/o @/d"),
    Scenario("ln -s x @/d/l", _TREE, "readlink @/d/l"),
    Scenario("touch -d 2020-01-01 @/f", _FILE, "stat -c %Y @/f"),
    Scenario("truncate -s 5 @/f", _FILE, _STAT),
    Scenario("find @/d -type f", _TREE),
    Scenario("du -sb @/d", _TREE),
    Scenario("ls -l @/d", _TREE),
    Scenario("stat -c %s @/d/e/f", _TREE),
    Scenario("readlink -f @/d/e/f", _TREE),
    Scenario("setfacl -m u:5:r @/f", _FILE, "getfacl -c @/f"),
    Scenario("chattr +i @/f", _FILE, "lsattr @/f | cut -c1-20", "chattr -i @/f"),
    Scenario("setfattr -n trusted.x -v y @/f", _FILE, "getfattr --only-values -n trusted.x @/f"),
    Scenario("mknod @/n b 7 99", "", "stat -c '%F %t %T' @/n"),
    Scenario("mkfifo @/d/p", _TREE, "stat -c %F @/d/p"),
    Scenario("setcap cap_net_raw=ep @/t", "cp /bin/true @/t", "getcap @/t"),
    Scenario("qemu-img create -q -f qcow2 @/i 10M", "", "test -s @/i; echo $?"),
    Scenario(
        "qemu-img info @/i",
        "qemu-img create -q -f raw @/i 10M; chown 3000 @/i; chmod 600 @/i",
    ),
    Scenario(
        "killall -KILL pm-sleep",
        "cp /bin/sleep @/pm-sleep; setpriv --reuid 3000 @/pm-sleep 600 >/dev/null 2>&1 &\n"
        "for n in $(seq 100); do pidof pm-sleep >/dev/null && break; sleep 0.01; done",
        "sleep 0.1; pidof pm-sleep; echo $?",
        "pkill -KILL -x pm-sleep; for n in $(seq 100); do pidof pm-sleep >/dev/null || break;"
        " sleep 0.01; done",
    ),
    Scenario("nice -n -5 nice"),
    Scenario("ionice -c 1 ionice"),
    Scenario("ionice -c 2 -n 0 ionice"),
    Scenario("chrt -f 10 chrt -p 0"),
    Scenario("prlimit --nofile=64:64 true"),
    Scenario("setpriv --reuid 3000 --regid 3000 --clear-groups id"),
    Scenario("fuser -s @/f",
             f"{_FILE}; setpriv --reuid 3000 tail -f @/f & echo $! >@/pid; sleep 0.1",
             clean_up="kill -KILL $(cat @/pid)"),
    Scenario("mount -t tmpfs none @/m", "mkdir @/m", "findmnt -no FSTYPE @/m", "umount @/m"),
    Scenario("umount @/m", "mkdir @/m; mount -t tmpfs none @/m", "findmnt @/m; echo $?",
             "umount @/m"),
    Scenario("mount --bind @/d @/m", "mkdir @/m @/d; touch @/d/x", "ls @/m", "umount @/m"),
    Scenario("mount # @/m", f"{_EXT4}; mkdir @/m", "touch @/m/x; ls @/m", f"umount @/m; {_OFF}"),
    Scenario("losetup # @/img", "truncate -s 64M @/img", "losetup -nO NAME,RO,BACK-FILE #", _OFF),
    Scenario("losetup -d #", _LOOP, "losetup -nO BACK-FILE #", _OFF),
    Scenario("losetup --list --noheadings --output RO #", _LOOP, "", _OFF),
    Scenario("mkfs.ext4 -qF #", _LOOP, "blkid -p -s TYPE -o value #", _OFF),
    Scenario("mkfs.xfs -qf #", "truncate -s 400M @/img; losetup # @/img",
             "blkid -p -s TYPE -o value #", _OFF),
    Scenario("mkswap -q #", _LOOP, "blkid -p -s TYPE -o value #", _OFF),
    Scenario("tune2fs -L pm #", _EXT4, "blkid -p -s LABEL -o value #", _OFF),
    Scenario("e2fsck -fp #", _EXT4, "", _OFF),
    Scenario("resize2fs # 32M", f"{_EXT4}; e2fsck -fp #", "dumpe2fs -h # | grep '^Block count'",
             _OFF),
    Scenario("dumpe2fs -h #", "truncate -s 64M @/img; mkfs.ext4 -qF @/img; losetup # @/img", "",
             _OFF),
    Scenario("blockdev --getsize64 #", _LOOP, "", _OFF),
    Scenario("blockdev --setro #", _LOOP, "blockdev --getro #", f"blockdev --setrw #; {_OFF}"),
    Scenario("blockdev --flushbufs #", _LOOP, "", _OFF),
    Scenario("dd if=/bin/true of=# bs=512 count=1 conv=notrunc status=none", _LOOP, _HASH, _OFF),
    Scenario("blkid -p -s TYPE -o value #", _EXT4, "", _OFF),
    Scenario("wipefs -aq #", _EXT4, "blkid -p #; echo $?", _OFF),
    Scenario("wipefs #", "truncate -s 64M @/img; mkswap -q -U clear @/img; losetup # @/img", "",
             _OFF),
    Scenario("parted -s # mklabel gpt", _LOOP, "blkid -p -s PTTYPE -o value #", _OFF),
    Scenario("sgdisk -Z #", f"{_LOOP}; parted -s # mklabel gpt", "blkid -p #; echo $?", _OFF),
    Scenario("fdisk -l #", f"{_LOOP}; parted -s # mklabel gpt", "", _OFF),
    Scenario("sfdisk -q #", _LOOP, "blkid -p -s PTTYPE -o value #", _OFF,
             stdin="label: dos\n,,L\n"),
    Scenario("sfdisk -d #", f"{_LOOP}; parted -s # mklabel msdos", "", _OFF),
    Scenario("kpartx -l #", f"{_LOOP}; parted -s # mklabel gpt mkpart a 1M 20M", "", _OFF),
    Scenario("mkfs.ntfs -qQF #", _LOOP, "blkid -p -s TYPE -o value #", _OFF),
    Scenario("pvcreate -qq -y #", _LOOP, "blkid -p -s TYPE -o value #", _OFF),
    Scenario("cryptsetup isLuks #", _LOOP, "", _OFF),
    Scenario("fstrim @/m", f"{_EXT4}; mkdir @/m; mount # @/m", "", f"umount @/m; {_OFF}"),
    Scenario("fsfreeze -f @/m", f"{_EXT4}; mkdir @/m; mount # @/m", "fsfreeze -u @/m",
             f"umount @/m; {_OFF}"),
    Scenario("swapon #", f"{_LOOP}; mkswap -q #", "swapon --noheadings --show=NAME",
             f"swapoff #; {_OFF}"),
    Scenario("ip -o link show lo"),
    Scenario("ip link add v0 type veth peer name v1", "", "ls -d /sys/class/net/v0", _NO_VETH),
    Scenario("ip link set v0 mtu 1400", _VETH, "cat /sys/class/net/v0/mtu", _NO_VETH),
    Scenario("ip link add b0 type bridge", "", "ls -d /sys/class/net/b0", "ip link del b0"),
    Scenario("ip addr add 10.2.0.1/24 dev v0", _VETH,
             "ip -o -4 addr show v0 | cut -d' ' -f2-", _NO_VETH),
    Scenario("ip route add 10.9.0.0/16 via 10.1.0.2", _ADDR, "ip route show 10.9.0.0/16",
             _NO_VETH),
    Scenario("ip rule add fwmark 7 table 100", "", "ip rule", "ip rule del fwmark 7"),
    Scenario("ip neigh replace 10.1.0.9 lladdr 02:00:00:00:00:09 dev v0", _ADDR,
             "ip neigh show 10.1.0.9", _NO_VETH),
    Scenario("ip tuntap add t0 mode tap", "", "ls -d /sys/class/net/t0", "ip link del t0"),
    Scenario("tunctl -b -t t0", "", "ls -d /sys/class/net/t0", "ip link del t0"),
    Scenario("netstat -ln"),
    Scenario("ip netns add pm-ns", "", "ls /run/netns | grep pm-ns", "ip netns del pm-ns"),
    Scenario("ip netns del pm-ns", "ip netns add pm-ns", "ls /run/netns | grep pm-ns; echo $?",
             "ip netns del pm-ns"),
    Scenario("ip netns exec pm-ns ip -o link", "ip netns add pm-ns", "", "ip netns del pm-ns"),
    Scenario("bridge fdb add 02:00:00:00:00:02 dev v0 master static",
             f"{_VETH}; ip link add b0 type bridge; ip link set v0 master b0",
             "bridge fdb show dev v0 | grep 02:00:00:00:00:02", f"{_NO_VETH}; ip link del b0"),
    Scenario("brctl addbr b0", "", "ls -d /sys/class/net/b0", "ip link del b0"),
    Scenario("tc qdisc add dev v0 root tbf rate 1mbit burst 32k latency 50ms", _VETH,
             "tc qdisc show dev v0 | sed 's/tbf [0-9a-f]*:/tbf/'", _NO_VETH),
    Scenario("iptables-nft -A INPUT -p tcp -j ACCEPT", "iptables-nft -F",
             "iptables-nft -S INPUT", "iptables-nft -F"),
    Scenario("iptables-legacy -A INPUT -p tcp -j ACCEPT",
             "iptables-legacy -F; rm -f /run/xtables.lock",
             "iptables-legacy -S INPUT", "iptables-legacy -F"),
    Scenario("nft add table inet pm", "", "nft list tables", "nft delete table inet pm"),
    Scenario("ipset create pm hash:ip", "", "ipset list -n", "ipset destroy pm"),
    Scenario("conntrack -L"),
    Scenario("sysctl -w net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0",
             "sysctl -n net.ipv4.ip_forward"),
    Scenario("sysctl -w net.core.somaxconn=512", "sysctl -qw net.core.somaxconn=128",
             "sysctl -n net.core.somaxconn"),
    Scenario("ethtool -K v0 tso off", f"{_VETH}; ethtool -K v0 tso on",
             "ethtool -k v0 | grep ^tcp-seg", _NO_VETH),
    Scenario("arping -c 1 -w 1 -A -I v0 10.1.0.1", _ADDR, "", _NO_VETH),
    Scenario("ping -q -c 1 -w 1 127.0.0.1", "ip link set lo up"),
    Scenario("dnsmasq --port=0 --interface=v0 --bind-interfaces --dhcp-range=10.1.0.10,10.1.0.20"
             " --dhcp-leasefile=/dev/null --user=root --pid-file=", _ADDR,
             "sleep 0.2; pidof dnsmasq >/dev/null; echo $?; ss -Hlun | grep -c :67", _NO_VETH),
    Scenario("hostname pm-learn", "hostname other", "uname -n"),
    Scenario("chroot / true"),
    Scenario("unshare --mount true"),
    Scenario("nsenter --net=/proc/self/ns/net true"),
    Scenario("dmesg --level emerg"),
    Scenario("sync"),
    Scenario("uname -a"),
)  # fmt: skip


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
    chosen = [s for s in SCENARIOS if not wanted or any(word in s.line for word in wanted)]
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
