/* The herd: N processes to hobble, made by fork alone so that 10,000 of them cost little memory. They sleep, or spin.
 * Usage: herd N sleep|spin. Prints their pids, one a line, then waits; when its stdin closes it ends them all. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int count = atoi(argv[1]), spins = strcmp(argv[2], "spin") == 0;
  int *pids = malloc(sizeof *pids * (size_t)count);
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    if (pids[i] < 0) return 1;
    if (pids[i] == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(0);
      close(1);
      for (volatile unsigned long work = 0;; work++)
        if (!spins) pause();
    }
  }
  for (int i = 0; i < count; i++) printf("%d\n", pids[i]);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {}
  for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
  while (wait(NULL) > 0) {}
  return 0;
}
