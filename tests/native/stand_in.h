/* A stand-in for Python around turbo.c, for the C tests: objects are numbers, functions are small codes, the GIL is a mutex.
 * `SHAPES` (shapes.h, written by test_native_c.py from the spec table) says what the calls look like. */
#include "../../wasilab/engine/native/turbo.c"
#include "shapes.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TURN = 1, ADOPT, FIND, TARGET };
#define AS_OBJECT(x) ((void *)(((uintptr_t)(x) << 3) | 4))
#define AS_NUMBER(p) ((uint64_t)(uintptr_t)(p) >> 3)
static pthread_mutex_t gil = PTHREAD_MUTEX_INITIALIZER;
static void *world_call(uint64_t function, void *const *arguments, size_t n);

static int ensure(void) { pthread_mutex_lock(&gil); return 0; }
static void release(int state) { (void)state; pthread_mutex_unlock(&gil); }
static void *of_u32(unsigned long x) { return AS_OBJECT(x); }
static void *of_u64(unsigned long long x) { return AS_OBJECT(x); }
static unsigned long long to_u64(void *p) { return AS_NUMBER(p); }
static void *call(void *function, void *const *a, size_t n, void *names) { (void)names; return world_call((uint64_t)(uintptr_t)function, a, n); }
static void decref(void *p) { (void)p; }
static void clear(void) {}
static void *trap(const char *text, size_t n) { (void)text, (void)n; return (void *)&gil; }

#define CHECK(x) do { if (!(x)) { fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); abort(); } } while (0)

static void *block(size_t size) { void *p = calloc(1, size ? size : 1); CHECK(p); return p; }
/* A run with blocks of exactly the sizes that C may use, so that ASan sees each byte beyond. */
static RunState *new_run(int slots, uint64_t arena, uint64_t out) {
  RunState *t = block(sizeof(RunState));
  const ApiTable given = {ensure, release, of_u32, of_u64, to_u64, call, decref, clear, trap};
  turbo_load(&given);
  t->records = block(CHUNK * 64), t->arena = block(arena), t->room = arena;
  t->text = block(TEXT), t->path_at = block(4 * PATHS), t->path_size = block(4 * PATHS), t->path_table = block(4 * PATHS);
  t->struct_table = block(4 * STRUCTS), t->struct_hash = block(4 * STRUCTS);
  t->snap = 64, t->io = 1 << 20, t->most_written = ~0ull >> 1, t->clocks = 15, t->random = 1, t->era = 1;
  t->slots = block(slots * sizeof(Slot)), t->nslots = slots, t->live = block(4 * 8);
  for (int i = 0; i < 4; i++) t->live[i] = ~0ull;
  t->opened = block(OPENED * sizeof(Opened)), t->recipes = block(RECIPES * sizeof(Recipe));
  t->most_open = slots, t->ceiling = 1000, t->out.data = block(out), t->out.capacity = out;
  t->turn = (void *)TURN, t->adopt = (void *)ADOPT;
  for (int i = 0; i < 4; i++) t->resolution[i] = 1;
#ifdef __x86_64__
  uint64_t at[2];
  turbo_ticks(at), t->tsc_base = at[0], t->ns_base = at[1], t->steady = 1;
#endif
  t->origin = clock_ns(STEADY);
  usleep(2000);
  turbo_start(t);
  return t;
}
