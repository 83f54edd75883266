/* Random calls with random words over random memory and slots, for libFuzzer or, with -DSTANDALONE, for a loop of our own. ASan and
 * UBSan see what C touches; besides, every full chunk is packed and unpacked and must come out as it was, and the record of a
 * call must be there exactly when it succeeded. */
#include "stand_in.h"

enum { MEMORY_BYTES = 1 << 16, NSLOTS = 24, FOLDER = 3, FIRST_FILE = 5 };
static RunState *t;
static GuestState guest;
static FunctionState functions[sizeof SHAPES / sizeof *SHAPES];
static Content content;
static OpenContent handle;
static QuotaState meter;
static uint8_t *memory;
static uint64_t random_words, turns, answered[sizeof SHAPES / sizeof *SHAPES];
static size_t close_call;
static int folder, file;

static void packed_and_back(void) {
  uint64_t words = t->used >> 2, *q = (uint64_t *)t->records;
  uint8_t *o = block(t->n * 82 + 1), *p = block(t->used + (t->used >> 5) + t->n + 64);
  uint64_t *again = block(t->n * 64), size = turbo_pack(q, t->n, o);
  uint32_t *arena = block(t->used);
  CHECK(size <= t->n * 81);
  turbo_unpack(o, t->n, again);
  CHECK(!memcmp(again, q, t->n * 64));
  uint64_t payloads = turbo_payloads(q, t->n, (uint32_t *)t->arena, words, p, 0);
  CHECK(payloads <= t->used + (t->used >> 5) + t->n);
  CHECK(turbo_payloads(again, t->n, arena, words, p, 1) == payloads);
  CHECK(!memcmp(arena, t->arena, t->used));
  free(o), free(p), free(again), free(arena);
}
static void adopt(void) {
  for (uint64_t i = 0; i < t->nopened; i++) {
    Opened *o = t->opened + i;
    CHECK(o->ended == ~0ull || o->host < 0);
    CHECK(o->path && o->path <= t->npaths);
    if (o->ended == ~0ull && o->host >= 0) t->slots[o->fd].opened = 0; /* Python knows it now */
    else if (o->error) t->slots[o->fd].life = 0;
  }
  t->nopened = 0;
}
static void *world_call(uint64_t function, void *const *a, size_t n) {
  (void)a, (void)n;
  if (function == TURN) { packed_and_back(), adopt(), turbo_fresh(t, t->first + t->n), turns++; }
  if (function == ADOPT) adopt();
  if (function == FIND && random_words % 3 == 0) guest.size = MEMORY_BYTES; /* as if it had grown */
  if (function != TARGET) return AS_OBJECT(0);
  if (random_words % 64 == 1) return 0; /* the function raised */
  return AS_OBJECT(random_words % 5 == 0 ? 0 : random_words % 5 == 1 ? 256 : 8);
}
static void slot(uint32_t fd, int kind, int host, uint64_t rights) {
  Slot *s = t->slots + fd;
  struct stat st;
  *s = (Slot){.life = fd + 1, .kind = (uint8_t)kind, .host = host, .generation = 1};
  if (kind == DIRECTORY) { CHECK(!fstat(host, &st)); s->device = st.st_dev, s->name = (const uint8_t *)"/d", s->name_size = 2; }
  if (kind == MEMORY) s->handle = &handle;
  store(&s->allowed, rights | IN_USE);
}
static void begin(void) {
  static char path[] = "/tmp/wasilab-fuzz-XXXXXX";
  CHECK(mkdtemp(path));
  folder = open(path, O_RDONLY | O_DIRECTORY);
  mkdirat(folder, "sub", 0700), symlinkat("a", folder, "link"), close(openat(folder, "a", O_CREAT | O_RDWR, 0600));
  close(openat(folder, "sub/b", O_CREAT | O_RDWR, 0600));
  file = openat(folder, "a", O_RDWR);
  t = new_run(NSLOTS, 1 << 13, 1 << 12);
  memory = block(MEMORY_BYTES);
  content = (Content){.data = block(4096), .capacity = 4096, .meter = &meter};
  meter = (QuotaState){0, 2048, 1, 0};
  handle.content = &content;
  guest = (GuestState){t, memory, MEMORY_BYTES, (void *)FIND};
  for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
    if (!strcmp(SHAPES[i].name, "fd_close")) close_call = i;
    functions[i] = (FunctionState){&guest, (void *)TARGET, SHAPES[i].number, SHAPES[i].right, 0, 0, SHAPES[i].params, SHAPES[i].wide, 0, 0, SHAPES[i].shape};
  }
}
static void reset(void) {
  adopt();
  for (uint32_t fd = 0; fd < NSLOTS; fd++) {
    Slot *s = t->slots + fd;
    if (s->life && s->kind == HOST_FILE && s->host != file) close(s->host);
    *s = (Slot){0};
  }
  slot(1, STREAM, 0, 64), slot(2, STREAM, 1, 64), slot(FOLDER, DIRECTORY, folder, ~0ull >> 2), slot(4, NEITHER, -1, 0);
  slot(FIRST_FILE, HOST_FILE, file, ~0ull >> 2), slot(6, HOST_FILE, file, 2), slot(7, MEMORY, -1, ~0ull >> 2);
  t->open = 7, t->lowest = 0, t->lives = 100, t->written = 0, t->most_written = 1 << 20, guest.size = MEMORY_BYTES;
  content.size = 0, meter.used = 0, handle.position = 0, t->live[0] = ~0ull;
  CHECK(!ftruncate(file, 100));
  t->strings[0] = (StringBlock){1, 0, 2, 4, (const uint8_t *)"a\0b"}, t->strings[1] = (StringBlock){1, 0, 0, 0, (const uint8_t *)""};
  uint32_t asked[] = {0, 1, 8};
  memset(t->recipes, 0, RECIPES * sizeof(Recipe));
  for (int i = 0; i < 3; i++) {
    Recipe r = {.base = 2 | 64 | 32 | 4, .life = FOLDER + 1, .oflags = asked[i], .asks = 1 << 13, .reach = 2 | 64,
                .allowed = 2 | 4 | 32 | 64, .flags = O_RDWR | (asked[i] == 8 ? O_TRUNC : 0)};
    t->recipes[turbo_recipe(&r)] = r;
  }
  uint32_t places[] = {1024, 1026, 1032};
  memcpy(memory + places[0], "a", 1), memcpy(memory + places[1], "sub/b", 5), memcpy(memory + places[2], "link/../\xc3\xa9", 10);
}

/* Set most of a call's arguments to what could succeed: descriptors that are open, pointers into the memory. */
static void usual(size_t which, Value *v, const uint8_t **at, const uint8_t *end) {
#define NEXT() (*at < end ? *(*at)++ : 0u)
  const Shape *s = &SHAPES[which].shape;
  static const uint32_t descriptors[] = {3, 5, 5, 6, 7, 7, 0, 1, 2, 8, 9, 4}, paths[][2] = {
    {1024, 1}, {1024, 1}, {1026, 5}, {1026, 5}, {1026, 3}, {1032, 4}, {1032, 7}, {1032, 10}, {1026, 4}, {1024, 0}};
  uint32_t word[WORDS] = {0}, k = 0;
  uint8_t set[WORDS] = {0};
#define SET(index, x) (word[index] = (x), set[index] = 1)
  if (s->fd != NONE) SET(s->fd, descriptors[NEXT() % 12]);
  if (!strncmp(SHAPES[which].name, "path_", 5) && s->fd != NONE && NEXT() % 8) SET(s->fd, FOLDER);
  for (int i = 0; i < 2; i++) {
    uint32_t path = NEXT() % 10;
    if (s->string[i] != NONE) SET(s->string[i], paths[path][0]), SET(s->string[i] + 1, paths[path][1]);
    if (s->result[i] != NONE) SET(s->result[i], 512 + 64 * i);
  }
  if (s->vector != NONE) {
    uint32_t list[2 * 80] = {4096, NEXT() % 80, 8192 + NEXT(), NEXT() % 20, MEMORY_BYTES - 16, 16, 4096, 200}, count = NEXT();
    for (int i = 8; i < 160; i += 2) list[i] = 9000, list[i + 1] = 1;
    memcpy(memory + 2048, list, sizeof list);
    SET(s->vector, 2048), SET(s->vector + 1, count % 8 ? 1 + count % 4 : count % 80);
  }
  uint32_t size = NEXT();
  if (s->outbuf != NONE) SET(s->outbuf, 4096), SET(s->outbuf + 1, size * (size % 2 ? 1 : 3));
  if (s->strings != NONE) SET(s->strings, 256), SET(s->strings + 1, 600);
  if (s->subscriptions != NONE) SET(s->subscriptions, 2048), SET(s->events, 4096), SET(s->count, NEXT() % 4);
  for (uint32_t i = 0; i < functions[which].params; i++) {
    if (set[k]) v[i].word[0] = word[k];
    k += 1 + (functions[which].wide >> i & 1);
  }
  if (!strcmp(SHAPES[which].name, "path_open") && NEXT() % 4)
    v[1].word[0] = 0, v[4].word[0] = NEXT() % 8 ? 0 : 8, v[5] = (Value){{2 | 64 | 32 | 4, 0}}, v[6] = v[7] = (Value){{0, 0}};
  if (!strcmp(SHAPES[which].name, "path_filestat_get")) v[1].word[0] %= 2;
  if (!strcmp(SHAPES[which].name, "fd_seek") || !strncmp(SHAPES[which].name, "fd_p", 4)) {
    uint32_t offset = s->vector == NONE ? 1 : 3;
    if (offset < functions[which].params - 1) v[offset].word[0] = NEXT() % 200, v[offset].word[1] = 0;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!t) begin();
  reset();
  const uint8_t *end = data + size;
#define BYTE() (data < end ? *data++ : 0)
  uint32_t close_next = 0;
  while (data < end) {
    size_t which = close_next ? close_call : BYTE() % (sizeof SHAPES / sizeof *SHAPES);
    FunctionState *f = functions + which;
    Value *v = block(f->params * sizeof(Value)); /* of this very size, so that ASan knows it */
    random_words = random_words * 31 + BYTE();
    if (BYTE() % 16 == 0) t->live[0] = BYTE() % 2 ? ~0ull : 2; /* revoked, given back */
    if (BYTE() % 32 == 0) guest.size = MEMORY_BYTES / 2;
    if (BYTE() % 32 == 0) t->lowest = NSLOTS; /* as if no number were free */
    t->snap = BYTE() % 8 ? 64 : 5000;
    for (uint32_t i = 0; i < f->params; i++) {
      uint8_t kind = BYTE();
      uint32_t small = BYTE(), large = small | (uint32_t)BYTE() << 8;
      const uint32_t odd[] = {0xffffffff, MEMORY_BYTES - 8, MEMORY_BYTES - 4, 0x80000000, 17, 1026, 1024, 1032};
      v[i].word[0] = kind % 8 < 5 ? small % 24 : kind % 8 < 6 ? (large & ~7u) : kind % 8 < 7 ? odd[large % 8] : large;
      v[i].word[1] = kind < 16 ? 0xffffffff : 0;
    }
    if (BYTE() % 8) usual(which, v, &data, end);
    if (close_next) v[0].word[0] = close_next;
    if (close_next && BYTE() % 8 == 0) close(t->slots[close_next].host); /* so that closing it is an error */
    close_next = 0;
    t->most_open = BYTE() % 16 ? NSLOTS + 8 : 5, t->most_written = BYTE() % 16 ? 1 << 20 : t->written + 3;
    t->out.lock = BYTE() % 32 == 0; /* another thread takes the output out just now */
    uint64_t before = t->first + t->n, lost = t->lost, asked = f->asked, done = f->answered;
    void *r = SHAPES[which].function(f, 0, v, f->params);
    int succeeded = !r && (!f->params || v[0].word[0] == 0);
    CHECK((f->asked == asked) != (f->answered == done));
    CHECK(f->answered == done || succeeded);
    CHECK(t->first + t->n + (t->lost - lost) == before + succeeded || !f->params);
    CHECK(!t->held && t->used <= t->room && t->n <= CHUNK && content.size <= content.capacity && meter.used <= meter.most);
    answered[which] += f->answered - done;
    if (f->answered > done && !strcmp(SHAPES[which].name, "path_open") && BYTE() % 2) memcpy(&close_next, memory + v[8].word[0], 4);
    free(v);
    if (BYTE() % 16 == 0) { /* what it printed is taken out: whole pieces, of the two streams in turn */
      uint64_t at = 0, last = 0;
      uint32_t head, stream = 2;
      for (; at < t->out.size; stream = head & 1, last = at, at += 4 + (head >> 1)) {
        CHECK(at + 4 <= t->out.size);
        memcpy(&head, t->out.data + at, 4);
        CHECK((head & 1) != stream);
      }
      CHECK(at == t->out.size && (!at || last == t->piece));
      t->out.size = 0;
    }
  }
  return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv) {
  uint64_t x = 88172645463325252ull, rounds = argc > 1 ? strtoull(argv[1], 0, 10) : 1000;
  uint8_t data[4096];
  for (uint64_t i = 0; i < rounds; i++) {
    for (size_t k = 0; k < sizeof data; k++) x ^= x << 13, x ^= x >> 7, x ^= x << 17, data[k] = (uint8_t)(x >> 24);
    LLVMFuzzerTestOneInput(data, sizeof data);
  }
  for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
    if (answered[i]) printf("%s %llu\n", SHAPES[i].name, (unsigned long long)answered[i]);
  printf("turns %llu\n", (unsigned long long)turns);
#ifdef TURBO_WAYS
  for (int line = 0; line < 1024; line++) if (turbo_ways[line]) printf("line %d %llu\n", line, (unsigned long long)turbo_ways[line]);
#endif
  return 0;
}
#endif
