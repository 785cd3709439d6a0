#!/usr/bin/env bash
# A private Docker engine for tests and CI, from Debian packages alone:  engine.sh start | stop
#
#   eval "$(test/docker/engine.sh start)"    exports DOCKER_HOST; a second start finds the first
#   test/docker/engine.sh stop               ends it; says nothing and exits 0 when there is none
#
# Owns: HOBBLER_DOCKER_DIR (default /tmp/hobbler-docker; sockets inside, so keep it short), one
# bridge interface, the networks of its containers, cgroups below /hobbler-docker. All of it goes
# at `stop`, images too. Its mounts live in a mount namespace of the engine's own and die with it.
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

wait_gone() { # pid, seconds
  local tries=$(($2 * 10))
  while [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do
    [ $((tries--)) -gt 0 ] || return 1
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
  if alive "$dir/dockerd.pid" >/dev/null; then echo "export DOCKER_HOST=$DOCKER_HOST"; return; fi
  stop # what a killed engine may have left

  mkdir -p "$dir"
  chmod 700 "$dir"
  # dockerd would use a system containerd if it saw its socket, and containerd keeps shim sockets
  # and plugin folders at fixed paths: all are masked by empty ones in the engine's own namespace.
  local mask=/run/containerd:/opt/containerd:/etc/docker path
  : >"$dir/made"
  for path in ${mask//:/ }; do
    [ -d "$path" ] || { mkdir "$path"; echo "$path" >>"$dir/made"; }
  done
  ip link add "$bridge" type bridge
  ip addr add "$subnet" dev "$bridge"
  ip link set "$bridge" up

  # dockerd gets a clean set of descriptors: a caller's pipe or lock held by it would never close.
  setsid unshare --mount --propagation slave bash -c '
    for path in ${1//:/ }; do mount -t tmpfs hobbler-docker "$path"; done
    shift
    exec "$@"' bash "$mask" \
    dockerd --host "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --bridge "$bridge" \
    --default-address-pool "base=$pool,size=24" --cgroup-parent "/$cgroup" \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --exec-opt native.cgroupdriver=cgroupfs --storage-driver overlay2 --shutdown-timeout 2 \
    </dev/null >"$dir/dockerd.log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  local launched=$! tries=300
  until docker version >/dev/null 2>&1; do
    [ -d "/proc/$launched" ] && [ $((tries--)) -gt 0 ] || {
      tail -n 20 "$dir/dockerd.log" >&2
      stop
      die "dockerd did not come up"
    }
    sleep 0.1
  done
  echo "export DOCKER_HOST=$DOCKER_HOST"
}

stop() {
  [ -d "$dir" ] || return 0
  local pid path ids
  if pid=$(alive "$dir/dockerd.pid"); then
    ids=$(docker ps -aq) && [ -z "$ids" ] || docker rm -fv $ids >/dev/null
    docker network prune -f >/dev/null
    kill "$pid"
    wait_gone "$pid" 20 || { kill -KILL "$pid"; wait_gone "$pid" 5; }
  fi
  # After a crash of dockerd its containerd and shims may live on.
  if pid=$(alive "$dir/exec/containerd/containerd.pid"); then kill "$pid"; wait_gone "$pid" 10; fi
  ip link delete "$bridge" 2>/dev/null || true
  for path in /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup"; do
    [ ! -d "$path" ] || find "$path" -depth -type d -exec rmdir {} +
  done
  [ ! -f "$dir/made" ] || while read -r path; do rmdir "$path"; done <"$dir/made"
  rm -rf --one-file-system "$dir"
}

case ${1:-} in
  start | stop) "$1" ;;
  *) die "usage: engine.sh start | stop" ;;
esac
