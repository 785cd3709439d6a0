#!/usr/bin/env bash
# A private Docker engine for tests and CI, from Debian packages alone:  engine.sh start | stop
#
#   eval "$(test/docker/engine.sh start)"    DOCKER_HOST and more; a second start finds the first
#   test/docker/engine.sh stop               ends it; says nothing and exits 0 when there is none
#
# Owns: HOBBLER_DOCKER_DIR (default /tmp/hobbler-docker; sockets inside, so keep it short), one
# bridge interface (so: one engine at a time), its containers' networks, cgroups below
# /hobbler-docker. All of it goes at `stop`, images too. Its mounts live in a mount namespace of the
# engine's own and die with it.
# Must never: touch another engine or its containerd, change iptables or sysctls, signal a process
# but the pids it wrote down itself.
#
# Without iptables nothing is routed: containers reach one another and the host, not the world.
# Published ports go through docker-proxy, which listens on the host's loopback like any program.
set -euo pipefail

dir=${HOBBLER_DOCKER_DIR:-/tmp/hobbler-docker}
bridge=hobbler0
subnet=10.213.0.1/24       # of the default network
pool=10.213.128.0/17       # networks that compose makes, as /24
cgroup=hobbler-docker
export DOCKER_HOST=unix://$dir/docker.sock
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY

die() { echo "engine.sh: $*" >&2; exit 1; }

# A pid file may be stale and its pid someone else's by now: the command line must name our directory.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir" || return 1
  echo "$pid"
}

wait_gone() { # pid, seconds. Not `wait`: it is no child of ours. A zombie is gone: pid 1 may reap late.
  local tries=$(($2 * 10))
  while [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do
    [ $((tries--)) -gt 0 ] || return 1
    sleep 0.1
  done
}

end() { # pid file
  local pid
  pid=$(alive "$1") || return 0
  kill "$pid"
  wait_gone "$pid" 20 || { kill -KILL "$pid"; wait_gone "$pid" 5; }
}

# Fixed paths that dockerd and containerd use whatever their options say: config and key, a system
# containerd's socket (dockerd would take that one), shim sockets, plugins, BuildKit's runc. In
# the engine's mount namespace, folders of ours lie over them.
masked=(/etc/docker /run/docker /run/runc /run/containerd /opt/containerd)

launch() {
  local path tries=300
  mkdir -p "$dir"
  chmod 700 "$dir"
  # Both daemons take a pid file for a running daemon as long as the pid is anybody's, a zombie's too.
  for path in "$dir/dockerd.pid" "$dir/exec/containerd/containerd.pid"; do
    alive "$path" >/dev/null || rm -f "$path"
  done
  for path in "${masked[@]}"; do
    mkdir -p "$dir/mask$path"
    [ -d "$path" ] || { mkdir "$path"; echo "$path" >>"$dir/made"; }
  done
  if [ ! -e "$dir/bridge" ] || [ ! -d "/sys/class/net/$bridge" ]; then
    ip link add "$bridge" type bridge || {
      echo "engine.sh: $bridge is there: is an engine up in another HOBBLER_DOCKER_DIR?" >&2
      return 1
    }
    : >"$dir/bridge"
    ip addr add "$subnet" dev "$bridge"
    ip link set "$bridge" up
  fi
  # shellcheck disable=SC2016 # the inner bash expands them
  # -n: else mount makes /run/mount. 3>&- and so on: dockerd must not keep a caller's pipe or lock open.
  setsid unshare --mount --propagation slave bash -c '
    dir=$1 count=$2
    shift 2
    for path in "${@:1:count}"; do mount -n --bind "$dir/mask$path" "$path"; done
    shift "$count"
    exec "$@"' bash "$dir" "${#masked[@]}" "${masked[@]}" \
    dockerd --host "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --bridge "$bridge" --default-address-pool "base=$pool,size=24" \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --cgroup-parent "/$cgroup" --exec-opt native.cgroupdriver=cgroupfs \
    --storage-driver overlay2 --shutdown-timeout 2 \
    </dev/null >>"$dir/dockerd.log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  local launched=$!
  until timeout 5 docker version >/dev/null 2>&1; do
    if [ ! -d "/proc/$launched" ] || [ $((tries--)) = 0 ]; then
      tail -n 20 "$dir/dockerd.log" >&2
      return 1
    fi
    sleep 0.1
  done
}

start() {
  local missing=() tool
  [ "$(id -u)" = 0 ] || die "needs root"
  for tool in dockerd:docker.io containerd:containerd runc:runc docker:docker.io iptables:iptables ip:iproute2 unshare:util-linux; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
  done
  [ ${#missing[@]} = 0 ] || die "missing: apt-get install -y --no-install-recommends ${missing[*]}"
  if ! alive "$dir/dockerd.pid" >/dev/null; then
    stop # what a killed engine left
    launch || { stop; die "dockerd did not come up"; }
  fi
  # In a container or a machine that looks like one, testcontainers would go to the bridge's address;
  # its reaper is an image that no registry gives us.
  echo "export DOCKER_HOST=$DOCKER_HOST TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1 TESTCONTAINERS_RYUK_DISABLED=true"
}

stop() {
  [ -d "$dir" ] || return 0
  local path ids
  # An engine that was killed left containers, bridges and shims behind: started once more, it knows
  # them and can take them down.
  if [ -d "$dir/data" ] && ! alive "$dir/dockerd.pid" >/dev/null; then launch || true; fi
  if alive "$dir/dockerd.pid" >/dev/null; then
    ids=$(timeout 20 docker ps -aq) || true
    # shellcheck disable=SC2086 # one word for each id
    [ -z "$ids" ] || timeout 60 docker rm -fv $ids >/dev/null || true
    timeout 20 docker network prune -f >/dev/null || true
  fi
  end "$dir/dockerd.pid"
  end "$dir/exec/containerd/containerd.pid"
  if [ -e "$dir/bridge" ]; then
    [ ! -d "/sys/class/net/$bridge" ] || ip link delete "$bridge"
    for path in /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup"; do
      [ ! -d "$path" ] || find "$path" -depth -type d -exec rmdir {} +
    done
  fi
  if [ -f "$dir/made" ]; then while read -r path; do rmdir "$path"; done <"$dir/made"; fi
  rm -rf --one-file-system "$dir"
}

case ${1:-} in
  start | stop) "$1" ;;
  *) die "usage: engine.sh start | stop" ;;
esac
