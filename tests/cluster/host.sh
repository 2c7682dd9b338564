#!/usr/bin/env bash
# The first process of one test host: host.sh NAME LAB KEPT...
#
# Runs inside fresh mount, process, network, uts and ipc namespaces (hosts.py makes them). Gives the host a name, an empty
# /tmp, /run and /dev/shm, a home of its own, one processor, and sshd. KEPT folders (the interpreter, the shared folder)
# stay visible wherever they lie. LAB holds the keys and the files of /etc.
set -eu
name=$1 lab=$2
shift 2

mount --make-rprivate /
hostname "$name"
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/outside /run/sshd /run/home
mount --rbind / /run/outside
mount -t tmpfs -o mode=1777 none /tmp
for folder in "$lab" "$@"; do
    [ -d "$folder" ] || mkdir -p "$folder"
    mount --bind "/run/outside$folder" "$folder"
done
umount --lazy /run/outside
mkdir -p "$lab/homes/$name"  # the disk: it outlives the host
mount --bind "$lab/homes/$name" /run/home
mount -t tmpfs -o mode=1777,size=256m none /dev/shm
for file in passwd hosts; do mount --bind "$lab/$file" "/etc/$file"; done
mount --bind "$lab/one_processor" /sys/devices/system/cpu/online

export HOME=/run/home
touch "$HOME/.bashrc"
ip link set lo up
while ! ip link set eth0 up 2>/dev/null; do sleep 0.05; done  # hosts.py puts it here
ip address add "$(awk -v name="$name" '$2 == name { print $1 }' /etc/hosts)/24" dev eth0

# Not exec: a shell as the first process takes in what others leave behind.
/usr/sbin/sshd -D -e -f /dev/null -h "$lab/host_key" -o "AuthorizedKeysFile=$lab/key.pub" -o StrictModes=no \
    -o UsePAM=no -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password -o MaxStartups=100 &
wait
