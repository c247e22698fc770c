"""For each rule about filters an attack that oslo.rootwrap lets pass, and what refuses it.

An attack has entries as they are found in the wild, and the command line of a caller who owns the
service. Two things refuse:

* ``strict``: the same entries, decided as they were meant;
* ``generated``: entrypoints made from `narrow`, which allows what the service really calls
  (`call`); where `narrow` is empty, from the same entries.

EXCUSED says of every other rule why there is nothing to attack, or where its attack is shown.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Attack:
    """What is allowed, what is asked, and what then is there to see.

    Attributes:
        effect: ``ran`` (the attacker's program), ``read`` (root's file), ``wrote FILE``,
            ``gone FILE``, ``owned FILE``, ``said TEXT``, or ``ended`` (process % of the line).
        before: a shell command run by the root of namespaces of the attack's own.
        then: one that shows what the attack did there.
    """

    code: str
    entries: str
    line: str
    effect: str
    side: Literal["strict", "generated"]
    narrow: str = ""
    call: str = ""
    before: str = ""
    then: str = ""


ATTACKS: Final = (
    Attack("PM101", "s: CommandFilter, sh, root", "sh -c @/x", "ran", "generated",
           "s: RegExpFilter, sh, root, sh, -c, systemctl reload x", "sh -c 'systemctl reload x'"),
    Attack("PM101", "s: RegExpFilter, sh, root, sh, -c, echo '((.|\\n)*)' > /.*",
           "sh -c \"echo '' > @/f; @/x; '' > @/f\"", "ran", "generated",
           "s: RegExpFilter, tee, root, tee, /var/lib/x/[^/]+", "tee /var/lib/x/f"),
    Attack("PM102", "a: CommandFilter, awk, root", "awk 'BEGIN{system(\"@/x\")}'", "ran",
           "generated", "a: RegExpFilter, awk, root, awk, -f, /usr/share/x.awk, /proc/stat",
           "awk -f /usr/share/x.awk /proc/stat"),
    Attack("PM103", "n: CommandFilter, nice, root", "nice @/x", "ran", "generated",
           "n: RegExpFilter, nice, root, nice, lvs", "nice lvs"),
    Attack("PM104", "f: CommandFilter, find, root", "find @/hosts -exec @/x ;", "ran", "generated",
           "f: RegExpFilter, find, root, find, /[^/]*, -maxdepth, \\d+, -inum, \\d+",
           "find /srv -maxdepth 1 -inum 5"),
    Attack("PM105", "t: CommandFilter, tee, root", "tee @/cron", "wrote cron", "generated",
           "t: RegExpFilter, tee, root, tee, /var/lib/x/[^/]+", "tee /var/lib/x/f"),
    Attack("PM106", "c: CommandFilter, chmod, root", "chmod 666 @/passwd", "owned passwd",
           "generated", "c: RegExpFilter, chmod, root, chmod, 640, /var/lib/x/[^/]+",
           "chmod 640 /var/lib/x/f"),
    Attack("PM107", "c: CommandFilter, cat, root", "cat @/shadow", "read", "generated",
           "c: ReadFileFilter, /etc/iscsi/initiatorname.iscsi",
           "cat /etc/iscsi/initiatorname.iscsi"),
    Attack("PM108", "t: CommandFilter, tar, root",
           "tar -cf /dev/null @/hosts --checkpoint=1 --checkpoint-action=exec=@/x", "ran",
           "generated", "t: RegExpFilter, tar, root, tar, -cf, /var/backup/x.tar, /etc/x",
           "tar -cf /var/backup/x.tar /etc/x"),
    Attack("PM109", "m: CommandFilter, mount, root", "mount --bind @/im-evil @/im", "read",
           "generated", "m: RegExpFilter, mount, root, mount, -t, nfs, -o, nosuid, [a-z]+:/[a-z]+,"
           " /var/lib/x/[^/]+", "mount -t nfs -o nosuid a:/b /var/lib/x/m", then="cat @/im/f"),
    Attack("PM110", "d: CommandFilter, docker, root", "docker run -v /:/m -t x chroot /m @/x",
           "ran", "generated", "d: RegExpFilter, docker, root, docker, ps", "docker ps"),
    Attack("PM111", "t: CommandFilter, tcpdump, root", "tcpdump -G 1 -w @/c -z @/x", "ran",
           "generated", "t: RegExpFilter, tcpdump, root, tcpdump, -n, -i, [a-z0-9]+",
           "tcpdump -n -i eth0"),
    Attack("PM112", "s: CommandFilter, systemd-run, root", "systemd-run @/x", "ran", "generated",
           "s: RegExpFilter, systemd-run, root, systemd-run, /usr/lib/x/rotate",
           "systemd-run /usr/lib/x/rotate"),
    Attack("PM113", "m: CommandFilter, modprobe, root", "modprobe -C @/modprobe.conf anything",
           "ran", "generated", "m: RegExpFilter, modprobe, root, modprobe, nbd", "modprobe nbd"),
    Attack("PM114", "i: CommandFilter, ip, root", "ip -batch @/batch", "said ,UP", "generated",
           "i: RegExpFilter, ip, root, ip, link, set, tap[0-9a-f-]+, up", "ip link set tap1 up",
           then="ip link show lo"),
    Attack("PM114", "i: IpFilter, ip, root", "ip -batch @/batch", "said ,UP", "strict",
           then="ip link show lo"),
    Attack("PM115", "d: CommandFilter, dd, root", "dd if=@/disk of=@/cron", "wrote cron",
           "generated", "d: RegExpFilter, dd, root, dd, if=/dev/vg/[^/]+, of=/dev/vg/[^/]+, bs=1M",
           "dd if=/dev/vg/a of=/dev/vg/b bs=1M"),
    Attack("PM116", "p: CommandFilter, pip, root", "pip install @/package", "ran", "generated",
           "p: RegExpFilter, dpkg, root, dpkg, -S, /[a-z/]+", "dpkg -S /bin/sh"),
    Attack("PM117", "u: CommandFilter, useradd, root",
           "useradd -o -u 0 -p x evil", "wrote passwd", "generated",
           "u: RegExpFilter, usermod, root, usermod, -L, guest[0-9]+", "usermod -L guest1"),
    Attack("PM118", "t: CommandFilter, tc, root", "tc -batch @/tc", "said pfifo", "generated",
           "t: RegExpFilter, tc, root, tc, qdisc, del, dev, [a-z][a-z0-9]*, root",
           "tc qdisc del dev eth0 root", then="tc qdisc show dev lo"),
    Attack("PM119", "r: CommandFilter, rm, root", "rm -f @/passwd", "gone passwd", "generated",
           "r: RegExpFilter, rm, root, rm, -f, /var/run/x/[^/]+", "rm -f /var/run/x/lock"),
    Attack("PM120", "k: CommandFilter, kill, root", "kill -9 %", "ended", "generated",
           "k: KillFilter, root, /usr/sbin/radvd, -9"),
    Attack("PM121", "r: CommandFilter, reboot, root", "reboot -f", "ran", "generated",
           "u: RegExpFilter, uname, root, uname, -r", "uname -r"),
    Attack("PM122", "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+\n"
           "t: CommandFilter, true, root", "nice -n 5 @/evil/true", "ran", "strict"),
    Attack("PM122", "n: IpNetnsExecFilter, ip, root\nt: CommandFilter, true, root",
           "ip netns exec blue @/evil/true", "ran", "strict",
           before="mount -t tmpfs none /run; ip netns add blue"),
    Attack("PM123", "n: IpNetnsExecFilter, ncat, root\nt: CommandFilter, cat, root",
           "ip netns exec blue cat", "ran", "strict"),
    Attack("PM125", "l: EnvFilter, env, root, BASH_ENV=/etc/x, bash, -c, true",
           "env BASH_ENV=@/x bash -c true", "ran", "strict"),
    Attack("PM126", "l: EnvFilter, env, root, LC_ALL=C, printenv",
           "env LC_ALL=@/x printenv LC_ALL", "said /x", "strict"),
    Attack("PM127", "l: EnvFilter, env, root, TAG=, sort, -u, .*",
           "env TAG=x sort -o @/cron @/hosts", "wrote cron", "strict"),
    Attack("PM128", "t: EnvFilter, @/venv/tool, root, A=, @/evil/tool", "env A=1 @/evil/tool",
           "ran", "strict"),
    Attack("PM132", "p: CommandFilter, privsep-helper, root",
           "privsep-helper --privsep_context this.s --privsep_sock_path @/s",
           "said Beautiful is better", "generated"),
    Attack("PM201", "t: RegExpFilter, sort, root, sort, .+, @/hosts",
           "sort --output=@/cron @/hosts", "wrote cron", "generated", call="sort f @/hosts"),
    Attack("PM202", "e: RegExpFilter, echo, root, echo, [a-z]+", "echo 'ok\n'", "said ok\n\n",
           "strict"),
    Attack("PM203", "c: RegExpFilter, cat, root, cat, @/a|@/b", "cat @/a/../shadow", "read",
           "strict"),
    Attack("PM205", "c: RegExpFilter, cat, root, cat, @/resolv.conf", "cat @/resolvXconf", "read",
           "generated", call="cat @/resolv.conf"),
    Attack("PM208", "c: RegExpFilter, cat, root, cat, @/im/.*", "cat @/im/../shadow", "read",
           "generated", call="cat @/im/f"),
    Attack("PM209", "e: RegExpFilter, echo, root, echo, \\d+", "echo \u0665", "said \u0665",
           "strict"),
    Attack("PM301", "c: PathFilter, cat, root, @/im", "cat @/im-evil/f", "read", "strict"),
    Attack("PM311", "t: CommandFilter, tee, root, @/ok", "tee @/cron", "wrote cron", "generated",
           "t: RegExpFilter, tee, root, tee, @/ok", "tee @/ok"),
)  # fmt: skip

# Attacks that fit no table, and where they are tried.
ALONE: Final = {
    "PM130": "test_attacks::test_the_callers_path_names_the_program_that_may_be_signalled",
    "PM133": "test_attacks_machine::test_pm133_the_helper_imports_what_its_caller_names",
    "PM204": "test_attacks::test_a_slow_pattern_doubles_with_each_character_and_not_in_strict_mode",
    "PM303": "test_attacks::test_a_link_swapped_in_after_the_check_leads_out_of_a_filter",
    "PM403": "test_attacks_machine::test_the_program_comes_from_a_folder_of_the_callers",
    "PM404": "test_attacks_machine::test_the_program_comes_from_a_folder_of_the_callers",
    "PM415": "test_attacks_sudo::test_pm415_who_may_rename_above_the_drop_ins_has_the_others",
    "PM605": "test_attacks_modules::test_pm605_a_strong_capability_gives_files_of_root_away",
    "PM611": "test_attacks_modules::test_pm611_a_module_whose_name_only_begins_alike",
    "PM612": "test_attacks_modules::test_a_context_holds_its_commands_in_our_daemon_only",
}

HYGIENE: Final = "nobody gains by it: "
EXCUSED: Final = {
    "PM001": HYGIENE + "it says where the audit itself was blind",
    "PM129": "nothing of ours tells two programs of one interpreter apart either",
    "PM131": "a race; tests/privsep/test_natives.py shows that a pidfd ends it",
    "PM206": HYGIENE + "what runs is the entry's own executable, whatever it is asked for as",
    "PM207": HYGIENE + "no character is known that harms where hardly any was meant",
    "PM302": HYGIENE + "the entry matches nothing",
    "PM304": HYGIENE + "the entry is not there",
    "PM305": HYGIENE + "the entry is not there; the one that is in force is judged itself",
    "PM306": HYGIENE + "rootwrap ends, for everybody",
    "PM307": HYGIENE + "the entry matches nothing",
    "PM308": HYGIENE + "the wider entry is judged itself",
    "PM309": HYGIENE + "nobody chooses the order in which a filesystem lists a folder",
    "PM310": HYGIENE + "the command does not run",
    "PM312": HYGIENE + "the entry is not there",
    "PM313": "no way is known for a command that nobody has looked at",
    "PM314": "in force for rootwrap and so for us; test_attacks_machine shows it",
    "PM401": HYGIENE + "rootwrap ends, for everybody",
    "PM405": HYGIENE + "it says that nobody would see an attack",
    "PM406": "the shim itself; tests/root/test_shim_confine.py shows what commands hold with each",
}
