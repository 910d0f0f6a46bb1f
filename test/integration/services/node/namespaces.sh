#!/bin/sh
# namespaces.sh FOLDER NETWORK
#
# Holds the namespaces of a test node: processes, mounts, network and host name. The kernel ends every process of the
# node when the first one ends, and then its mounts and its network are gone too. Only cgroups must be removed by hand.
#
# NETWORK is the first three numbers of a /24. NETWORK.1 is this machine, NETWORK.2 is the node, and pods start at
# NETWORK.128.
set -eu
folder=$1
network=$2
link=sb${network#10.}
link=$(printf '%s' "$link" | tr . -)

if [ "${3:-}" = inside ]; then
  trap 'exit 0' TERM INT
  hostname node-1
  # Pods need mounts that spread from the node to their containers.
  mount --make-rshared /
  for path in /run /var/log /var/lib/kubelet /var/lib/cni; do
    mkdir -p "$path"
    mount -t tmpfs tmpfs "$path"
  done
  # The kubelet writes these settings of the whole machine. It gets files instead.
  while read -r setting value; do
    echo "$value" >"$folder/setting-$setting"
    mount --bind "$folder/setting-$setting" "/proc/sys/$(echo "$setting" | tr . /)"
  done <<SETTINGS
vm.overcommit_memory 1
vm.panic_on_oom 0
kernel.panic 10
kernel.panic_on_oops 1
kernel.keys.root_maxkeys 1000000
kernel.keys.root_maxbytes 25000000
SETTINGS
  : >"$folder/has-namespaces"
  until ip link show "$link-n" >/dev/null 2>&1; do sleep 0.05; done
  ip link set lo up
  ip link set "$link-n" name eth0
  ip address add "$network.2/30" dev eth0
  ip link set eth0 up
  ip route add default via "$network.1"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  : >"$folder/has-network"
  while :; do sleep 3600 & wait $!; done
fi

# Removes the empty cgroups of a node. Returns false while a process is left in them.
remove_cgroups() {
  find /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1" -depth -type d -delete 2>/dev/null
  ! ls -d /sys/fs/cgroup/*/"$1" >/dev/null 2>&1 && [ ! -e /sys/fs/cgroup/"$1" ]
}

# Removes what a killed run left behind. Its name contains the process that held it.
for left in /sys/fs/cgroup/secretbridge-node-* /sys/fs/cgroup/*/secretbridge-node-*; do
  [ ! -e "$left" ] || kill -0 "${left##*-}" 2>/dev/null || remove_cgroups "${left##*/}" || :
done

cgroup=secretbridge-node-$$
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$cgroup"
else
  for root in /sys/fs/cgroup/*/; do [ -e "$root/cgroup.procs" ] && mkdir -p "$root/$cgroup"; done
fi
echo "/$cgroup" >"$folder/cgroup"

unshare --mount --net --pid --uts --ipc --fork --kill-child --mount-proc sh "$0" "$folder" "$network" inside &
holder=$!
end() {
  # Returns after the kernel has ended all processes of the node. A cgroup with a process cannot be removed.
  kill -KILL "$(cat "$folder/init.pid" 2>/dev/null || echo $holder)" 2>/dev/null || :
  wait $holder 2>/dev/null || :
  tries=0
  until remove_cgroups "$cgroup" || [ $tries -ge 30 ]; do
    tries=$((tries + 1))
    sleep 0.03
  done
}
trap end EXIT
trap 'exit 0' TERM INT
until [ -e "$folder/has-namespaces" ]; do
  kill -0 $holder
  sleep 0.05
done
ip link add "$link-h" type veth peer name "$link-n" netns $holder
ip address add "$network.1/30" dev "$link-h"
ip link set "$link-h" up
ip route add "$network.128/25" via "$network.2" dev "$link-h"
# The first process inside is the child of `unshare`.
init=$(cat "/proc/$holder/task/$holder/children")
echo "${init% }" >"$folder/init.pid"
wait $holder
