#!/bin/bash
# The guard: the only code that releases what a worker left stopped (invariant 1).
#
#   guard.sh watch DIR     listen to the worker's beats and release everything when they end (worker dead: its end of
#                          the FIFO closes) or stay away for 3 s (worker hung)
#   guard.sh release DIR   release once: at a worker's start, by `hobbler release-all`, by a supervisor after a stop
#
# It uses shell builtins alone once it watches: nothing to load, nothing to fork on a host that is out of memory. It
# continues only processes that the journal names, by pid and start time; it never stops anything. A line that it does
# not understand is passed over, and the rest goes on.
set -uf
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077

readonly HUNG_AFTER_S=3
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

# release: continues everything that the journal says may be stopped, last stopped first: children before parents.
release() {
  local word pid ticks boot='' here='' count=0 index
  local -A state=()
  local -a line=() order=()
  if [[ ! -f $dir/journal || -L $dir/journal ]]; then return 0; fi
  { read -r here </proc/sys/kernel/random/boot_id; } 2>/dev/null
  while read -r -a line || ((${#line[@]})); do
    word=${line[0]-} pid=${line[1]-} ticks=${line[2]-}
    case $word in
      boot) boot=$pid ;;
      stop | left)
        [[ $pid =~ ^[1-9][0-9]{0,9}$ && $ticks =~ ^[0-9]{1,19}$ ]] || continue
        [[ $word == stop && -z ${state["$pid $ticks"]-} ]] && order+=("$pid $ticks")
        state["$pid $ticks"]=$word
        ;;
    esac
  done <"$dir/journal"
  # Pids of another boot are strangers' pids.
  if [[ -n $boot && -n $here && $boot != "$here" ]]; then say 'the journal is of another boot; nothing to release'; return 0; fi
  for ((index = ${#order[@]} - 1; index >= 0; index--)); do
    [[ ${state["${order[index]}"]} == stop ]] || continue
    pid=${order[index]% *} ticks=${order[index]#* }
    ((pid > 1)) || continue
    # Whatever its state: a stop may be on its way to it, and a continue takes that back.
    if start_of "$pid" && [[ $start == "$ticks" ]]; then kill -CONT "$pid" 2>/dev/null && ((++count)); fi
  done
  released=$count
}

if [[ $verb == release ]]; then
  released=0
  release
  printf '%d\n' "$released"
  exit 0
fi

# Set-up, the only part that runs other programs: one guard per directory, and a FIFO to listen on.
mkdir -p "$dir" || exit 1
exec {lock}>"$dir/guard.lock" || exit 1
flock -n "$lock" || { say "another guard watches $dir"; exit 3; }
[[ -p $dir/guard.fifo ]] || { rm -f "$dir/guard.fifo" && mkfifo -m 600 "$dir/guard.fifo"; } || exit 1
trap '' HUP INT QUIT PIPE
# A supervisor that ends a whole service ends the guard together with a worker that may hang: doubt means release.
trap 'release; exit 0' TERM
# The last to go when memory runs out; only root may say so.
{ printf '%s\n' -900 >/proc/$$/oom_score_adj; } 2>/dev/null
start_of $$ && printf '%s %s\n' $$ "$start" >"$dir/guard.pid"

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
      if [[ -z $hung ]]; then released=0; release; say "no beat for $HUNG_AFTER_S s: released $released processes"; hung=yes; fi
    else
      released=0; release; say "the worker is gone: released $released processes"
      break
    fi
  done
  exec 3<&-
  # A guard that a worker started for itself ends with it; the guard of a service waits for the next worker.
  [[ $lonely == once ]] && exit 0
done
