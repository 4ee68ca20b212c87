#!/bin/sh
# In a virtual machine whose root is the host's file system, read-only (guest.py): the tests that are
# asked for, as its root and as a user. SLUICE_* come from the kernel's command line.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs -o mode=755 run /run
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run/source /run/build
mount -t devpts -o mode=620,ptmxmode=666 pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount --bind "$SLUICE_ROOT" /run/source
mount --bind "$SLUICE_BUILD" /run/build
mount -t tmpfs -o mode=1777 tmp /tmp
python3 -c 'import socket, fcntl, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
cd /run/source
export SLUICE_BUILD=/run/build SLUICE_PATIENCE=300 # emulated, on a host that may be busy
unset SLUICE_ROOT
uname -r
/run/build/tests/unit/test_cgroup &&
    /usr/bin/python3 -B -m pytest -q --color=no -p no:cacheprovider --tb=short -rs $(echo "$SLUICE_TESTS" | tr , ' ')
echo "guest: $?"
echo o > /proc/sysrq-trigger
sleep 60
