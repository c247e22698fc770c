# Become a real systemd that can change nothing of the host: run in namespaces of its own (mount,
# PID, cgroup, IPC, UTS, network) with a folder of units and the one to start.
set -e
units=$1 unit=$2
mount --make-rprivate /
work=/mnt
mount -t tmpfs -o mode=755 tmpfs $work
mkdir $work/upper $work/work $work/root
root=$work/root
# every write ends in memory, tmpfiles.d's emptying of /tmp included
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay $root
mount -t tmpfs -o mode=755 tmpfs $root/run
mkdir -p $root/run/systemd/system
cp "$units"/* $root/run/systemd/system/
mount -t proc proc $root/proc
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,ro,bind $root/proc/sys
mount -t sysfs -o ro sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/dev
for node in null zero full random urandom tty; do
    touch $root/dev/$node
    mount --bind /dev/$node $root/dev/$node
done
mkdir $root/dev/pts $root/dev/shm $root/old
mount -t devpts -o newinstance,ptmxmode=666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
cd $root
pivot_root . old
umount -l /old
export container=other
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-sys_rawio \
    /lib/systemd/systemd --system --unit="$unit" --log-target=null </dev/null >/dev/null 2>&1
