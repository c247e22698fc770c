"""What `tools.learn_commands` learns: real commands, each with what makes it repeatable."""

from dataclasses import dataclass
from typing import Final


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
_STAT_BELOW: Final = "stat -c '%a %u %g' @/d/e/f"
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
    Scenario("chown 1:1 @/d/e/f", _TREE, _STAT_BELOW),
    Scenario("chgrp 1 @/d/e/f", _TREE, _STAT_BELOW),
    Scenario("chmod 644 @/d/e/f", _TREE, _STAT_BELOW),
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
    Scenario("setfacl -m u:5:r @/d/e/f", _TREE, "getfacl -c @/d/e/f"),
    Scenario("chattr +i @/d/e/f", _TREE, "lsattr @/d/e/f | cut -c1-20", "chattr -i @/d/e/f"),
    Scenario("setfattr -n trusted.x -v y @/d/e/f", _TREE,
             "getfattr --only-values -n trusted.x @/d/e/f"),
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
    Scenario("mount -t tmpfs none @/d/e", _TREE, "findmnt -no FSTYPE @/d/e", "umount @/d/e"),
    Scenario("mount --bind @/o @/d/e", _TREE, "findmnt @/d/e >@/found; echo $?", "umount @/d/e"),
    Scenario("umount @/d/e", f"{_TREE}; mount -t tmpfs none @/d/e", "findmnt @/d/e; echo $?",
             "umount @/d/e"),
    Scenario("fsfreeze -f @/d/e",
             f"{_LOOP}; mkfs.ext4 -qF #; {_TREE}; mount # @/d/e",
             "fsfreeze -u @/d/e; echo $?",
             f"fsfreeze -u @/d/e; umount @/d/e; {_OFF}"),
    Scenario("fstrim @/d/e", f"{_LOOP}; mkfs.ext4 -qF #; {_TREE}; mount # @/d/e", "",
             f"umount @/d/e; {_OFF}"),
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

# Daemons of packages that filters name, each in the scratch folder and for one run. In Debian 12:
# bind9 bind9-utils dbus-bin dbus-daemon frr knot samba strongswan-charon strongswan-starter
# ucspi-tcp xen-utils-4.17
_NAMED: Final = (
    "rndc-confgen -a -c @/key; chmod 600 @/key; ip link set lo up;"
    ' printf \'include "@/key";\noptions{directory "@";pid-file none;listen-on{none;};'
    "listen-on-v6{none;};recursion no;session-keyfile none;};\ncontrols{inet 127.0.0.1 port 9953"
    " allow{any;} keys{rndc-key;};};\n' >@/named.conf; named -c @/named.conf -u root &\n"
    "for n in $(seq 100); do rndc -k @/key -p 9953 status && break; sleep 0.05; done"
)
_KNOT: Final = (
    "printf 'server:\\n  rundir: @\\n  user: root:root\\n  listen: 127.0.0.1\\1009954\\n"
    "database:\\n  storage: @\\n' >@/k.conf; ip link set lo up; knotd -c @/k.conf -s @/k.sock &\n"
    "for n in $(seq 100); do knotc -s @/k.sock status && break; sleep 0.05; done;"
    " chmod 600 @/k.sock"
)
_BUS: Final = (
    "mkdir -p /run/dbus; mount -t tmpfs none /run/dbus; dbus-daemon --nofork --nopidfile"
    " --config-file=/usr/share/dbus-1/session.conf --address=unix:path=/run/dbus/system_bus_socket"
    " &\nfor n in $(seq 100); do test -S /run/dbus/system_bus_socket && break; sleep 0.05; done;"
    " chmod 777 /run/dbus/system_bus_socket"
)
_ZEBRA: Final = (
    "mkdir -p /run/frr; mount -t tmpfs -o mode=755 none /run/frr; chown frr:frr /run/frr;"
    " /usr/lib/frr/zebra -d -f /dev/null -u frr -g frr;"
    "for n in $(seq 100); do test -S /run/frr/zebra.vty && break; sleep 0.05; done"
)
_SAMBA: Final = (
    "mkdir -p @/s/private @/s/lock; printf '[global]\nregistry shares=yes\nsecurity=user\n"
    "private dir=@/s/private\nlock directory=@/s/lock\nstate directory=@/s/lock\n"
    "cache directory=@/s/lock\npid directory=@/s/lock\nncalrpc dir=@/s/lock/n\n"
    "interfaces=lo\nbind interfaces only=yes\nlog file=@/s/log\nload printers=no\n"
    "disable spoolss=yes\nsmb ports=9955\ninclude=registry\n' >@/smb.conf; ip link set lo up"
)

FROM_PACKAGES: Final = (
    Scenario("rndc -k @/key -p 9953 reconfig", _NAMED, "rndc -k @/key -p 9953 status | grep -c up",
             "pkill -x named; sleep 0.1"),
    Scenario("knotc -s @/k.sock status version", _KNOT, "", "pkill -x knotd; sleep 0.1"),
    Scenario("tcpclient -RHl0 127.0.0.1 9956 cat @/f",
             f"{_FILE}; ip link set lo up; python3 -m http.server -b 127.0.0.1 9956 &\n"
             "echo $! >@/pid; for n in $(seq 100); do ss -Hltn | grep -q :9956 && break;"
             " sleep 0.05; done", "", "kill $(cat @/pid)"),
    Scenario("net -s @/smb.conf conf addshare pm @/d writeable=y guest_ok=y",
             f"{_TREE}; {_SAMBA}", "net -s @/smb.conf conf listshares"),
    Scenario("net -s @/smb.conf conf delshare pm",
             f"{_TREE}; {_SAMBA}; net -s @/smb.conf conf addshare pm @/d writeable=y guest_ok=y",
             "net -s @/smb.conf conf listshares"),
    Scenario("smbd -D -s @/smb.conf", _SAMBA,
             "sleep 0.5; ss -Hltn | grep -c :9955; pidof smbd >/dev/null; echo $?",
             "pkill -KILL -x smbd; sleep 0.1"),
    Scenario("smbcontrol -s @/smb.conf smbd reload-config",
             f"{_SAMBA}; smbd -D -s @/smb.conf; sleep 0.5", "", "pkill -KILL -x smbd; sleep 0.1"),
    Scenario("fsck -p #", _EXT4, "", _OFF),
    Scenario("mktemp -d @/d/pm.XXX", _TREE, "ls @/d | wc -l"),
    Scenario("bash -c true"),
    Scenario("sh -c true"),
    Scenario("sh @/s", f"{_FILE}; echo 'echo y >@/f' >@/s", "cat @/f"),
    Scenario("python3 -c pass"),
    Scenario("dbus-send --system --print-reply --dest=org.freedesktop.DBus /"
             " org.freedesktop.DBus.GetId", _BUS, "", "pkill -x dbus-daemon; umount /run/dbus"),
    Scenario("vtysh -c list", _ZEBRA, "", "pkill -x zebra; umount /run/frr"),
    Scenario("service pm-service restart",
             "mkdir @/i; printf '\\043!/bin/sh\\necho $1 >@/said\n' >@/i/pm-service;"
             " chmod 755 @/i/pm-service; mount --bind @/i /etc/init.d", "cat @/said",
             "umount /etc/init.d"),
    Scenario("/usr/lib/xen-4.17/bin/pygrub -q -l @/img",
             "truncate -s 16M @/img; mkfs.ext2 -qF @/img;"
             " printf 'default 0\ntitle x\nkernel /k\n' >@/menu;"
             " debugfs -w -R 'mkdir boot' @/img; debugfs -w -R 'mkdir boot/grub' @/img;"
             " debugfs -w -R 'write @/menu boot/grub/menu.lst' @/img; chown 3000 @/img;"
             " chmod 600 @/img"),
    Scenario("ipsec status", "ipsec start; sleep 0.5", "", "ipsec stop; sleep 0.2"),
)  # fmt: skip
