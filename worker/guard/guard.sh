#!/bin/bash
# The guard: the only code that releases what a worker left stopped, frozen, limited or moved (invariant 1).
#
#   guard.sh watch DIR     listen to the worker's beats and release everything when they end (worker dead: its end of
#                          the FIFO closes) or stay away for 2.5 s (worker hung: of the 3 s
#                          that are promised, half a second is for the release)
#   guard.sh release DIR   release once: at a worker's start, by `hobbler release-all`, by a supervisor after a stop
#
# It uses shell builtins alone once it watches: nothing to load, nothing to fork on a host that is out of memory; but for
# rmdir, last of all, where cgroups of our own are left empty. It continues only processes that the journal names, by pid
# and start time, and writes only to the few cgroup files named below; it never stops anything. A line that it does not
# understand is passed over, and the rest goes on.
set -uf
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077

readonly HUNG_AFTER_S=2.5 MAX_PATH=4096
readonly bandwidth='^(max|-1|[0-9]{1,19})(:[0-9]{1,19})?$'
verb=${1-} dir=${2-} proc=${HOBBLER_PROC:-/proc}
case $verb in watch | release) ;; *) echo "usage: guard.sh watch|release DIR" >&2; exit 2 ;; esac
case $dir in /*) ;; *) echo "guard.sh: DIR: expected an absolute path, got '$dir'" >&2; exit 2 ;; esac

say() { printf 'guard: %s\n' "$*" >&2; }

# start_of PID: sets `start` to its start time in ticks; fails when there is no such process. The command name may hold
# anything, so fields are counted after the last parenthesis.
start_of() {
  local stat=''
  { IFS= read -r -d '' stat <"$proc/$1/stat"; } 2>/dev/null
  [[ $stat == *')'* ]] || return 1
  # shellcheck disable=SC2086 # splitting is the point; set -f above keeps it from globbing
  set -- ${stat##*)}
  start=${20-}
  [[ -n $start ]]
}

# is_plain PATH: absolute, no component that leads elsewhere, nothing that could not stand on one line.
is_plain() { [[ ${#1} -le $MAX_PATH && $1 == /* && $1 != *[[:cntrl:]]* && /$1/ != */../* && /$1/ != */./* ]]; }

# put WORD FILE: writes into a file that is there; never makes one.
put() { [[ -f $2 && ! -L $2 ]] && { printf '%s\n' "$1" >"$2"; } 2>/dev/null; }

# thaw FILE: turns off a freezer switch, by the name that it has.
thaw() {
  case ${1##*/} in
    cgroup.freeze) put 0 "$1" ;;
    freezer.state) put THAWED "$1" ;;
    *) return 1 ;;
  esac
}

# restore OLD OURS FILE: puts a quota back, but only where ours still stands.
restore() {
  local now=''
  case ${3##*/} in cpu.max | cpu.cfs_quota_us | cpu.cfs_period_us) ;; *) return 1 ;; esac
  [[ $1 =~ $bandwidth && $2 =~ $bandwidth ]] || return 1
  { IFS= read -r now <"$3"; } 2>/dev/null
  [[ $now == "${2/:/ }" ]] && put "${1/:/ }" "$3"
}

# empty DIR: puts every process of a cgroup of ours back to the root of its hierarchy. Who forks meanwhile is met in the
# next round.
empty() {
  local pid root=${1%/hobbler-*} round found=yes
  for ((round = 0; round < 5; round++)); do
    [[ -n $found ]] || return 0
    found=''
    while read -r pid; do
      [[ $pid =~ ^[1-9][0-9]*$ ]] || continue
      found=yes
      put "$pid" "$root/cgroup.procs"
    done <"$1/cgroup.procs"
  done 2>/dev/null
}

# release: undoes everything that the journal says may be done. What is frozen first, since that is one write for many;
# then processes, last stopped first: children before parents; then quotas; then what was moved.
release() {
  local word rest pid ticks boot='' here='' count=0 index path old ours
  local -A state=() freeze=() quota=() adopt=() above=()
  local -a order=()
  if [[ ! -f $dir/journal || -L $dir/journal ]]; then return 0; fi
  { read -r here </proc/sys/kernel/random/boot_id; } 2>/dev/null
  while read -r word rest || [[ -n $word ]]; do
    case $word in
      boot) boot=$rest ;;
      stop | left)
        [[ $rest =~ ^([1-9][0-9]{0,9})\ ([0-9]{1,19})$ ]] || continue
        [[ $word == stop && -z ${state["$rest"]-} ]] && order+=("$rest")
        state["$rest"]=$word
        ;;
      freeze | thawed) is_plain "$rest" && freeze["$rest"]=$word ;;
      quota)
        old=${rest%% *} rest=${rest#* }
        ours=${rest%% *} rest=${rest#* }
        is_plain "$rest" && quota["$rest"]="$old $ours"
        ;;
      restored) is_plain "$rest" && quota["$rest"]='' ;;
      adopt | emptied) is_plain "$rest" && [[ $rest =~ /hobbler-[0-9]+@[0-9]+(/[0-9]+)?$ ]] && adopt["$rest"]=$word ;;
    esac
  done <"$dir/journal"
  # Pids of another boot are strangers' pids, and its cgroups are no more.
  if [[ -n $boot && -n $here && $boot != "$here" ]]; then say 'the journal is of another boot; nothing to release'; return 0; fi
  # Who wrote a journal that is not ours must not have cgroups changed by us, as root; a continue harms nobody.
  if [[ ! -O $dir/journal ]]; then freeze=() quota=() adopt=(); say 'the journal is not ours; only processes are continued'; fi
  for path in "${!freeze[@]}"; do [[ ${freeze["$path"]} == freeze ]] && thaw "$path" && ((++count)); done
  for ((index = ${#order[@]} - 1; index >= 0; index--)); do
    [[ ${state["${order[index]}"]} == stop ]] || continue
    pid=${order[index]% *} ticks=${order[index]#* }
    ((pid > 1)) || continue
    # Whatever its state: a stop may be on its way to it, and a continue takes that back.
    if start_of "$pid" && [[ $start == "$ticks" ]]; then kill -CONT "$pid" 2>/dev/null && ((++count)); fi
  done
  for path in "${!quota[@]}"; do
    [[ -n ${quota["$path"]} ]] && restore "${quota["$path"]% *}" "${quota["$path"]#* }" "$path" && ((++count))
  done
  made=()
  for path in "${!adopt[@]}"; do
    [[ ${adopt["$path"]} == adopt ]] || continue
    empty "$path"
    made+=("$path")
    [[ ${path##*/} == hobbler-* ]] || above["${path%/*}"]=yes
  done
  made+=("${!above[@]}")
  released=$count
}

# tidy: removes the cgroups of ours that `release` has emptied, innermost first. The one program that is run.
tidy() { if ((${#made[@]})); then rmdir -- "${made[@]}" 2>/dev/null; fi; }

if [[ $verb == release ]]; then
  released=0 made=()
  release
  printf '%d\n' "$released"
  tidy
  exit 0
fi

# Set-up, the only part that runs other programs: one guard per directory, and a FIFO to listen on.
mkdir -p "$dir" || exit 1
# What is no plain file is removed: opening a FIFO would wait for ever, and a link leads elsewhere.
for name in guard.lock guard.seen guard.pid; do
  [[ ! -e $dir/$name && ! -L $dir/$name ]] || [[ -f $dir/$name && ! -L $dir/$name ]] || rm -f "$dir/$name"
done
exec {lock}>"$dir/guard.lock" || exit 1
flock -n "$lock" || { say "another guard watches $dir"; exit 3; }
[[ -p $dir/guard.fifo && ! -L $dir/guard.fifo ]] || { rm -f "$dir/guard.fifo" && mkfifo -m 600 "$dir/guard.fifo"; } || exit 1
trap '' HUP INT QUIT PIPE
# A supervisor that ends a whole service ends the guard together with a worker that may hang: doubt means release.
made=()
trap 'release; tidy; exit 0' TERM
# The last to go when memory runs out; only root may say so.
{ printf '%s\n' -900 >/proc/$$/oom_score_adj; } 2>/dev/null
start_of $$ && { printf '%s %s\n' $$ "$start" >"$dir/guard.pid"; } 2>/dev/null

lonely=${3-}
while :; do
  # Opening waits for a worker; its end of the FIFO is then the only one, so that its death is the end of the file.
  exec 3<"$dir/guard.fifo" || exit 1
  hung=''
  while :; do
    beat=''
    read -r -t "$HUNG_AFTER_S" -u 3 beat
    code=$?
    if ((code == 0)); then
      hung=''
      [[ $beat == bye ]] && break
      { printf '%s\n' "$beat" >"$dir/guard.seen"; } 2>/dev/null
    elif ((code > 128)); then
      # Said once per silence; a worker that comes back checks everything before it stops anything.
      if [[ -z $hung ]]; then
        released=0; release; say "no beat for $HUNG_AFTER_S s: released $released processes and cgroups"; tidy
        hung=yes
      fi
    else
      released=0; release; say "the worker is gone: released $released processes and cgroups"; tidy
      break
    fi
  done
  exec 3<&-
  # A guard that a worker started for itself ends with it; the guard of a service waits for the next worker.
  [[ $lonely == once ]] && exit 0
done
