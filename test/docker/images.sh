#!/usr/bin/env bash
# Stand-ins for the two images that hobbler pulls from a registry, where there is none: made of
# this Debian machine's own files, imported into the engine that DOCKER_HOST names.
#
#   images.sh [NODE]     NODE: a Node 24 binary, default node_modules/node/bin/node of this repo
#
#   redis:7-bookworm         redis-server behind an entry point like the official one
#   node:24-bookworm-slim    node and the usual shell tools: enough for our Dockerfile's RUN lines
#
# Owns: those two tags. Must never: run against an engine that may hold the real images (it refuses
# any DOCKER_HOST but a unix socket other than /var/run/docker.sock), download anything.
set -euo pipefail

die() { echo "images.sh: $*" >&2; exit 1; }

root=$(cd "$(dirname "$0")/../.." && pwd)
node=${1:-$root/node_modules/node/bin/node}
case ${DOCKER_HOST:-} in
  unix:///var/run/docker.sock | unix:///run/docker.sock) die "not into the system's engine" ;;
  unix://*) ;;
  *) die 'DOCKER_HOST is not a private engine: eval "$(test/docker/engine.sh start)" first' ;;
esac
[ -x "$node" ] || die "no Node 24 at $node: npm ci first"
command -v redis-server >/dev/null || die "missing: apt-get install -y --no-install-recommends redis-server"

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

# Debian 12 merges /bin and /lib into /usr, yet package lists and ldd still name the old paths.
real_folder() {
  while read -r path; do [ ! -e "$path" ] || echo "$(realpath "${path%/*}")/${path##*/}"; done
}

# The shell tools a RUN line, a health check or testcontainers' port check may want; not their docs.
tools() {
  dpkg -L bash dash coreutils grep sed mawk findutils tar gzip util-linux libc-bin hostname |
    grep '^/' | grep -Ev '^/usr/share/(doc|man|locale|info|lintian|bash-completion|bug)/' |
    while read -r path; do [ -d "$path" ] || echo "$path"; done | real_folder
}

# Builds a root file system below $build/NAME from this machine's files on stdin and the shared
# libraries that they need, adds what NAME's folder holds already, and imports it as NAME.
image() { # NAME, then changes as docker import takes them
  local name=$1 root=$build/$1 changes=() change
  shift
  for change in "$@"; do changes+=(--change "$change"); done
  mkdir -p "$root"/{etc,root,proc,sys,dev,run,usr/{bin,sbin,lib,lib64}}
  install -dm 1777 "$root/tmp"
  ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
  ln -s mawk "$root/usr/bin/awk" # Debian: update-alternatives
  sort -u >"$build/files"
  # ldd fails on what is no program, and names itself what it finds: the link and, by hand, its target.
  { xargs ldd <"$build/files" 2>/dev/null || true; find "$root" -type f -perm -100 -exec ldd {} + 2>/dev/null || true; } |
    grep -Eo '/[^ ]+\.so[^ :]*' | sort -u | real_folder | while read -r path; do
    echo "$path"
    realpath "$path"
  done >"$build/libraries"
  sort -u "$build/files" "$build/libraries" | sed 's|^/||' | tar -cf - --no-recursion -C / -T - | tar -xf - -C "$root"
  tar -cf - -C "$root" . | docker import "${changes[@]}" - "$name" >/dev/null
  echo "$name"
}

account() { # NAME of the image, user, uid, home: beside root and nobody
  local etc=$build/$1/etc
  mkdir -p "$etc"
  printf '%s\n' root:x:0:0:root:/root:/bin/bash "$2:x:$3:$3::$4:/bin/bash" nobody:x:65534:65534:nobody:/nonexistent:/bin/false >"$etc/passwd"
  printf '%s\n' root:x:0: "$2:x:$3:" nogroup:x:65534: >"$etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$etc/nsswitch.conf"
  install -d -o "$3" -g "$3" "$build/$1$4"
}

path_variable='ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# As the official one: bare options mean redis-server, and the container's network may connect
# (theirs has protected mode compiled out and no bind line). A command that binds anew wins.
name=redis:7-bookworm
account $name redis 999 /data
install -Dm 755 /dev/stdin "$build/$name/usr/local/bin/docker-entrypoint.sh" <<'ENTRY'
#!/bin/sh
set -e
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
[ "$1" = redis-server ] || exec "$@"
shift
conf=
case ${1:-} in *.conf) conf=$1; shift ;; esac
exec redis-server $conf --bind 0.0.0.0 --protected-mode no "$@"
ENTRY
{ tools; printf '%s\n' /usr/bin/redis-server /usr/bin/redis-cli "$(realpath /usr/bin/redis-server)"; } |
  image $name "$path_variable" 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["redis-server"]'

# npm is not in it: a build without a network cannot use it (the Dockerfile's node_modules.tar).
name=node:24-bookworm-slim
account $name node 1000 /home/node
install -Dm 755 "$node" "$build/$name/usr/local/bin/node"
tools | image $name "$path_variable" 'CMD ["node"]'
