/* The herd: N processes to hobble, made by fork alone so that 10,000 of them cost little memory.
 * Usage: herd N sleep|spin|gaps. Prints their pids, one a line, then `ready`, then obeys, one command a line:
 *   go     they begin their work; until then they sleep
 *   cpu    prints the time, then the CPU of each so far by the kernel's own clock of that process, one a line
 *   gaps   prints `INDEX FROM TO` for every gap that one that looks for gaps saw in its own running: where it was
 *          stopped, or waited for a core
 * Times are nanoseconds on CLOCK_MONOTONIC. Each answer ends with a line `ready`, and comes at once, since the herd runs
 * before its own busy children where it may. On SIGTERM, or when its stdin closes, it ends and reaps them all: where
 * pid 1 reaps late, 10,000 zombies would be left to it. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GAP_NS = 1000000, MAX_GAPS = 8192 };
typedef struct { _Atomic int count; struct { long long from, to; } gap[MAX_GAPS]; } Gaps;

static void on_end(int signal) { (void)signal; } /* fgets then returns, and the end below is reached */

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void look_for_gaps(Gaps *mine) {
  for (long long before = now(), at;; before = at) {
    at = now();
    int count = atomic_load_explicit(&mine->count, memory_order_relaxed);
    if (at - before < GAP_NS || count == MAX_GAPS) continue;
    mine->gap[count].from = before;
    mine->gap[count].to = at;
    atomic_store_explicit(&mine->count, count + 1, memory_order_release);
  }
}

static void live(int begin, const char *work, Gaps *mine) {
  char byte;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGTERM, SIG_DFL);
  close(0);
  close(1);
  while (read(begin, &byte, 1) > 0) {} /* until `go` closes the other end */
  if (!strcmp(work, "gaps")) look_for_gaps(mine);
  if (!strcmp(work, "spin")) for (volatile unsigned long turns = 0;; turns++) {}
  for (;;) pause();
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int count = atoi(argv[1]), watches = !strcmp(argv[2], "gaps"), begin[2];
  pid_t *pids = malloc(sizeof *pids * (size_t)count);
  Gaps *gaps = NULL;
  if (watches) {
    gaps = mmap(NULL, sizeof *gaps * (size_t)count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gaps == MAP_FAILED) return 1;
  }
  if (pipe(begin) != 0) return 1;
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    if (pids[i] < 0) { perror("fork"); return 1; } /* those there are end with us */
    if (pids[i] == 0) {
      close(begin[1]);
      live(begin[0], argv[2], watches ? &gaps[i] : NULL);
    }
  }
  setpriority(PRIO_PROCESS, 0, -20);
  signal(SIGINT, SIG_IGN); /* a Ctrl-C is for the bench, which then ends us */
  for (int i = 0; i < count; i++) printf("%d\n", pids[i]);
  puts("ready");
  fflush(stdout);
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    if (!strcmp(line, "go\n")) {
      close(begin[1]);
    } else if (!strcmp(line, "cpu\n")) {
      printf("%lld\n", now());
      for (int i = 0; i < count; i++) {
        clockid_t clock;
        struct timespec used = {0};
        if (clock_getcpuclockid(pids[i], &clock) == 0) clock_gettime(clock, &used);
        printf("%lld\n", used.tv_sec * 1000000000LL + used.tv_nsec);
      }
    } else if (!strcmp(line, "gaps\n") && watches) {
      for (int i = 0; i < count; i++)
        for (int k = 0, seen = atomic_load_explicit(&gaps[i].count, memory_order_acquire); k < seen; k++)
          printf("%d %lld %lld\n", i, gaps[i].gap[k].from, gaps[i].gap[k].to);
    }
    puts("ready");
    fflush(stdout);
  }
  for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
  while (wait(NULL) > 0) {}
  return 0;
}
