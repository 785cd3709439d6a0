/* Watches in which phase processes are, from outside: reads /proc/PID/status at one random moment of every step, and
 * takes a process for stopped when its state is T or a SIGSTOP is pending for it. The second matters: a process that
 * waits for a core is stopped only once it gets one, but was told before; so these are the phases as they were
 * signalled, whatever the load. Edges lie in the middle between two looks.
 * Usage: phases STEP_US SECONDS PID... ; prints `PID share RUNNING LOOKS`, `PID run US` and `PID stop US` for each
 * phase seen from end to end, then `ready`. It runs before all others where it may, so that load makes no look late; its cost is
 * about 12 us a look. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PHASES = 4096, PENDING_STOP = 1 << 18 };
typedef struct {
  int pid, status, stopped, edges, phases;
  long running, looks;
  long long edge_ns, look_ns;
  struct { int stopped; long us; } phase[MAX_PHASES];
} Watched;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* 1: stopped; 0: not; -1: it is gone. */
static int is_stopped(int status) {
  char text[4096];
  ssize_t length = pread(status, text, sizeof text - 1, 0);
  if (length <= 0) return -1;
  text[length] = 0;
  char *state = strstr(text, "\nState:\t"), *own = strstr(text, "\nSigPnd:\t"), *shared = strstr(text, "\nShdPnd:\t");
  if (!state || !own || !shared) return -1;
  return state[8] == 'T' || ((strtoull(own + 9, NULL, 16) | strtoull(shared + 9, NULL, 16)) & PENDING_STOP) != 0;
}

static void look(Watched *one) {
  int stopped = is_stopped(one->status);
  if (stopped < 0) return;
  long long at = now();
  if (one->looks > 0 && stopped != one->stopped) {
    long long edge = (one->look_ns + at) / 2;
    if (one->edges++ > 0 && one->phases < MAX_PHASES) {
      one->phase[one->phases].stopped = one->stopped;
      one->phase[one->phases++].us = (long)((edge - one->edge_ns) / 1000);
    }
    one->edge_ns = edge;
  }
  one->stopped = stopped;
  one->look_ns = at;
  one->looks++;
  one->running += !stopped;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  long long step_ns = atoll(argv[1]) * 1000, end = now() + (long long)(atof(argv[2]) * 1e9);
  int count = argc - 3;
  Watched *all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++) {
    char path[64];
    all[i].pid = atoi(argv[i + 3]);
    snprintf(path, sizeof path, "/proc/%d/status", all[i].pid);
    if ((all[i].status = open(path, O_RDONLY)) < 0) { perror(path); return 1; }
  }
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) setpriority(PRIO_PROCESS, 0, -20);
  srandom((unsigned)now());
  for (long long step = now(); step < end; step += step_ns) {
    long long at = step + (long long)((double)random() / RAND_MAX * (double)step_ns);
    struct timespec until = {at / 1000000000, at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    for (int i = 0; i < count; i++) look(&all[i]);
  }
  for (int i = 0; i < count; i++) {
    printf("%d share %ld %ld\n", all[i].pid, all[i].running, all[i].looks);
    for (int k = 0; k < all[i].phases; k++)
      printf("%d %s %ld\n", all[i].pid, all[i].phase[k].stopped ? "stop" : "run", all[i].phase[k].us);
  }
  puts("ready");
  return 0;
}
