/* The floor: a C program that enforces the same phases as hobbler from one timer, and nothing else. Group i is in slot
 * i % slots; each slot runs for RUN_MS once per period, side by side. No identity, no journal, no forks, no reports.
 * Usage: floor RUN_MS STOP_MS signal GROUP < pids      GROUP pids after one another are a group
 *        floor RUN_MS STOP_MS freezer 1 < paths        each a cgroup.freeze (v2) or freezer.state (v1), kept open
 * On SIGTERM all run again, and it prints how late its ticks were: p50 and p99 in microseconds. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TICKS = 1 << 20 };
typedef struct { int id; int version; } Member; /* a pid; or a descriptor and its cgroup version */
static volatile sig_atomic_t ended;
static int late_us[MAX_TICKS];

static void on_end(int signal) { (void)signal; ended = 1; }

static void set(Member member, int stops) {
  const char *text = member.version == 1 ? (stops ? "FROZEN" : "THAWED") : (stops ? "1" : "0");
  if (member.version == 0) kill(member.id, stops ? SIGSTOP : SIGCONT);
  else if (pwrite(member.id, text, strlen(text), 0) < 0 && !ended) perror("freezer");
}

static void set_slot(const Member *members, int count, int per_group, int slot, int slots, int stops) {
  for (int group = slot; group * per_group < count; group += slots)
    for (int i = group * per_group; i < count && i < (group + 1) * per_group; i++) set(members[i], stops);
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long run_ms = atol(argv[1]), stop_ms = atol(argv[2]);
  int signals = !strcmp(argv[3], "signal"), per_group = atoi(argv[4]);
  int slots = (int)((run_ms + stop_ms) / run_ms), count = 0, size = 0, ticks = 0;
  Member *members = NULL;
  char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (count == size) members = realloc(members, sizeof *members * (size_t)(size = size ? size * 2 : 1024));
    members[count].version = signals ? 0 : strstr(line, "freezer.state") ? 1 : 2;
    members[count].id = signals ? atoi(line) : open(line, O_WRONLY);
    if (members[count++].id <= 0) { perror(line); return 1; }
  }
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (int i = 0; i < count; i++) set(members[i], 1);
  struct timespec next, now;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (int slot = 0; !ended; slot = (slot + 1) % slots) {
    set_slot(members, count, per_group, (slot + slots - 1) % slots, slots, 1);
    set_slot(members, count, per_group, slot, slots, 0);
    next.tv_nsec += run_ms * 1000000;
    while (next.tv_nsec >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR && !ended) {}
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (ticks < MAX_TICKS)
      late_us[ticks++] = (int)((now.tv_sec - next.tv_sec) * 1000000 + (now.tv_nsec - next.tv_nsec) / 1000);
  }
  for (int i = 0; i < count; i++) set(members[i], 0);
  qsort(late_us, (size_t)ticks, sizeof *late_us, ascending);
  if (ticks > 0) printf("%d %d\n", late_us[ticks / 2], late_us[ticks * 99LL / 100]);
  return 0;
}
