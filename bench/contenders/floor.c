/* The floor: a C program that does the same signals as hobbler from one timer, and nothing else. Process i is in slot
 * i % slots; each slot runs for run_ms once per period, side by side. No identity, no journal, no forks, no reports.
 * Usage: floor RUN_MS STOP_MS < pids. Continues everything on SIGTERM. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t ended;
static void on_end(int signal) { (void)signal; ended = 1; }

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long run_ms = atol(argv[1]), stop_ms = atol(argv[2]);
  int slots = (int)((run_ms + stop_ms) / run_ms), count = 0, size = 0, pid;
  int *pids = NULL;
  while (scanf("%d", &pid) == 1) {
    if (count == size) pids = realloc(pids, sizeof *pids * (size = size ? size * 2 : 1024));
    pids[count++] = pid;
  }
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (int i = 0; i < count; i++) kill(pids[i], SIGSTOP);
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (int slot = 0; !ended; slot = (slot + 1) % slots) {
    int before = (slot + slots - 1) % slots;
    for (int i = before; i < count; i += slots) kill(pids[i], SIGSTOP);
    for (int i = slot; i < count; i += slots) kill(pids[i], SIGCONT);
    next.tv_nsec += run_ms * 1000000;
    while (next.tv_nsec >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR && !ended) {}
  }
  for (int i = 0; i < count; i++) kill(pids[i], SIGCONT);
  return 0;
}
