/* The guest's thread in C, others beside it, under TSan: a reader of the record, one that revokes and gives back, and one that
 * closes the guest's file, lets another file have its host descriptor for a while, and opens the guest's file again, at the same
 * number or another. Whatever the order, the other file never gets a byte of the guest's. */
#include "stand_in.h"

enum { MEMORY_BYTES = 1 << 16, OPEN = 5, MOVED = 6 };
static RunState *t;
static GuestState guest;
static FunctionState functions[sizeof SHAPES / sizeof *SHAPES];
static uint64_t records, revocations, reuses, strays, natives;
static int over;
static char mine[] = "/tmp/wasilab-mine-XXXXXX", other[] = "/tmp/wasilab-other-XXXXXX";

static void *world_call(uint64_t function, void *const *a, size_t n) {
  (void)a, (void)n;
  if (function == TURN) turbo_fresh(t, t->first + t->n);
  return AS_OBJECT(function == TARGET ? 8 : 0);
}
static int find(const char *name) {
  for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) if (!strcmp(SHAPES[i].name, name)) return (int)i;
  abort();
}
static uint32_t invoke(int which, const uint32_t *words) {
  Value v[9] = {{{0}}};
  for (uint32_t i = 0; i < functions[which].params; i++) v[i].word[0] = words[i];
  CHECK(!SHAPES[which].function(functions + which, 0, v, functions[which].params));
  return v[0].word[0];
}
static void *run_guest(void *rounds) {
  int writing = find("fd_write"), telling = find("fd_tell"), clock = find("clock_time_get"), showing = find("fd_fdstat_get");
  for (long i = 0; i < *(long *)rounds; i++) {
    uint32_t fd = i % 2 ? OPEN : MOVED, wrote[] = {fd, 256, 1, 512}, tell[] = {fd, 520}, now[] = {1, 0, 528}, show[] = {fd, 536};
    invoke(writing, wrote), invoke(telling, tell), invoke(clock, now), invoke(showing, show);
  }
  natives = functions[writing].answered;
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  return 0;
}
static int is_over(void) { return __atomic_load_n(&over, __ATOMIC_SEQ_CST); }
static void *run_reader(void *none) {
  static uint8_t copy[CHUNK * 64];
  while (!is_over()) {
    uint64_t seen[3];
    ensure(); /* as a Python thread holds the GIL, so that no chunk begins meanwhile */
    turbo_seen(t, seen);
    memcpy(copy, t->records, seen[0] * 64);
    for (uint64_t i = 0, *q = (uint64_t *)copy; i < seen[0]; i++, q += 8) CHECK((q[4] >> 32) * 4 <= seen[1] + 4 && (q[5] & 255) < 46);
    release(0);
    records += seen[0];
  }
  return none;
}
static void *run_revoker(void *none) {
  for (; !is_over(); revocations++) {
    turbo_put(t->live, 0), sched_yield();
    turbo_put(t->live, ~0ull), usleep(50);
  }
  return none;
}
static void *run_closer(void *none) {
  uint32_t fd = OPEN;
  for (; !is_over(); reuses++) {
    ensure(); /* a close, with the GIL as FdTable has it */
    Slot *s = t->slots + fd;
    turbo_withdraw(t, fd);
    int host = s->host;
    store(&s->life, 0);
    CHECK(!close(host));
    release(0);
    int stray = open(other, O_RDWR | O_APPEND); /* somebody else's file, most likely with the same number */
    CHECK(stray >= 0);
    strays += stray == host;
    usleep(20);
    struct stat st;
    CHECK(!fstat(stray, &st) && st.st_size == 0);
    close(stray);
    ensure(); /* opened again, or moved to another number */
    fd = fd == OPEN ? MOVED : OPEN;
    s = t->slots + fd;
    s->host = open(mine, O_RDWR | O_APPEND), s->kind = HOST_FILE, s->append = 1, s->era = 0;
    CHECK(s->host >= 0);
    store(&s->life, fd), store(&s->allowed, 2ull | 32 | 64 | IN_USE);
    release(0);
    usleep(20);
  }
  return none;
}
int main(int argc, char **argv) {
  long rounds = argc > 1 ? atol(argv[1]) : 20000;
  uint32_t list[] = {1024, 8};
  close(mkstemp(mine)), close(mkstemp(other));
  t = new_run(16, 1 << 20, 1 << 12);
  uint8_t *memory = block(MEMORY_BYTES);
  memcpy(memory + 256, list, 8);
  guest = (GuestState){t, memory, MEMORY_BYTES, (void *)FIND};
  for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
    functions[i] = (FunctionState){&guest, (void *)TARGET, SHAPES[i].number, SHAPES[i].right, 0, 0, SHAPES[i].params, SHAPES[i].wide, 0, 0, SHAPES[i].shape};
  t->slots[OPEN] = (Slot){.life = OPEN, .kind = HOST_FILE, .host = open(mine, O_RDWR | O_APPEND), .append = 1, .allowed = 2ull | 32 | 64 | IN_USE};
  pthread_t threads[4];
  void *(*bodies[])(void *) = {run_guest, run_reader, run_revoker, run_closer};
  for (int i = 0; i < 4; i++) pthread_create(threads + i, 0, bodies[i], &rounds);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  unlink(mine), unlink(other);
  printf("native %llu records %llu revocations %llu closed %llu reused %llu\n", (unsigned long long)natives,
         (unsigned long long)records, (unsigned long long)revocations, (unsigned long long)reuses, (unsigned long long)strays);
  return 0;
}
