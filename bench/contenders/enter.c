/* Starts a program inside a meter: joins the cgroup first, so that all it does and starts is accounted there; puts
 * aside the bench's own high priority; and ends with the bench, also when that is killed.
 * Usage: enter CGROUP_PROCS PROGRAM [ARGUMENT...] */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int procs = open(argv[1], O_WRONLY | O_CLOEXEC);
  if (procs < 0 || write(procs, "0", 1) != 1) { /* 0: the writer itself */
    perror(argv[1]);
    return 126;
  }
  setpriority(PRIO_PROCESS, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  execvp(argv[2], argv + 2);
  perror(argv[2]);
  return 127;
}
