/* Targets whose first stop is seen from outside at the very moment: N sleeping children, and their parent, whom the
 * kernel tells of every stop. Usage: first_stops N. Prints the pids, one a line, then `ready`, then `PID NS` for each
 * stop of any of them, NS on CLOCK_MONOTONIC. On SIGTERM it ends and reaps them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_end(int signal) { (void)signal; } /* waitid then returns */

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int count = atoi(argv[1]);
  pid_t *pids = malloc(sizeof *pids * (size_t)count);
  for (int i = 0; i < count; i++) {
    pid_t pid = pids[i] = fork();
    if (pid < 0) { perror("fork"); return 1; }
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(1);
      for (;;) pause();
    }
    printf("%d\n", pid);
    fflush(stdout); /* or each child would hold, and print, what is still in the buffer */
  }
  puts("ready");
  fflush(stdout);
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  signal(SIGINT, SIG_IGN); /* a Ctrl-C is for the bench, which then ends us */
  siginfo_t child;
  while (waitid(P_ALL, 0, &child, WSTOPPED | WEXITED) == 0) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    if (child.si_code != CLD_STOPPED) continue;
    printf("%d %lld\n", child.si_pid, t.tv_sec * 1000000000LL + t.tv_nsec);
    fflush(stdout);
  }
  for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
  while (wait(NULL) > 0) {}
  return 0;
}
