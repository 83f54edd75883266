/* The successes of hot WASI calls, without Python; and the record of every call, whoever answered it.
 *
 * Wasmtime calls the functions `turbo_*` at the end of this file (its unchecked callbacks; `env` is a `FunctionState`). Each reads its
 * arguments, does the call if nothing about it is unusual, and records it. Whatever is unusual (a missing right, an errno, a
 * limit, a bad pointer, a descriptor that is not a plain file) is left to the Python function of the call, which does it from
 * the start. So the rules and the words live in Python: here is only what cannot be refused.
 *
 * No Python or Wasmtime headers: `ApiTable` holds the addresses of the few functions needed. No allocation: every block belongs to
 * Python. One thread, the guest's, runs here for a `RunState` at a time, without the GIL; any thread may revoke (`live`), withdraw
 * a descriptor, and read the record. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "systems.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "turbo.h" /* the structs and numbers shared with Python, written from layouts.py */

#define API __attribute__((visibility("default")))
#define ALWAYS static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#define load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, x) __atomic_store_n(p, x, __ATOMIC_RELEASE)
#ifdef TURBO_WAYS /* a test counts how often each way back to Python is taken, by line */
API uint64_t turbo_ways[1024];
#define PYTHON return (turbo_ways[__LINE__]++, 0)
#else
#define PYTHON return 0
#endif

typedef struct { uint32_t word[4]; } Value; /* wasmtime_val_raw_t */
typedef struct { /* one call under way: its arguments, copied out of the guest's memory */
  FunctionState *f;
  GuestState *g;
  RunState *t;
  uint64_t began, ended, total, allowed, in_force; /* `ended` 0: now */
  uint32_t w[WORDS], life, count, length[2];
  uint32_t iovecs[2 * IOVECS];
  char path[2][PATH + 1];
  uint8_t subscriptions[KEPT_SUBSCRIPTIONS * 56];
} Call;

static ApiTable api;
API void turbo_load(const ApiTable *given) { api = *given; }
_Static_assert(sizeof(void *) == 8 && sizeof(Value) == 16, "the only kind of machine and of Wasmtime");
API const uint32_t turbo_layout = CHECKSUM; /* of turbo.h: Python loads no library of another one */

/* ---- time */

static uint64_t clock_ns(clockid_t id) {
  struct timespec x;
  clock_gettime(id, &x);
  return (uint64_t)x.tv_sec * 1000000000u + (uint64_t)x.tv_nsec;
}
/* Time stamps cost 8 ns by the processor's counter and 16 by clock_gettime. The counter is set against the clock every 67 ms,
 * and given up (`steady` 0) when it was ahead by a millisecond. Time never goes back. */
APART uint64_t anchor(RunState *t, uint64_t expected) {
  uint64_t ns = clock_ns(STEADY), tsc = ticks();
  if (ns + 1000000 < expected) t->steady = 0;
  if (tsc - t->tsc_base) t->scale = (uint64_t)(((unsigned __int128)(ns - t->ns_base) << 32) / (tsc - t->tsc_base));
  t->tsc = tsc;
  return t->ns = ns > expected ? ns : expected;
}
static inline uint64_t now(RunState *t) {
  if (!t->steady) return clock_ns(STEADY);
  uint64_t d = (uint64_t)((unsigned __int128)(ticks() - t->tsc) * t->scale >> 32);
  return d >> 26 ? anchor(t, t->ns + d) : t->ns + d;
}
API void turbo_ticks(uint64_t at[2]) { at[0] = ticks(), at[1] = clock_ns(STEADY); }
API void turbo_start(RunState *t) { anchor(t, 0); }

/* ---- to Python and back */

static void ask(void *function, uint64_t number) { /* function(number), its result ignored; the GIL is held */
  void *argument = api.of_u64(number), *r = argument ? api.call(function, &argument, 1, 0) : 0;
  if (argument) api.decref(argument);
  if (r) api.decref(r); else api.clear();
}
APART void visit(void *function, uint64_t number) {
  int gil = api.ensure();
  ask(function, number);
  api.release(gil);
}
/* The call by its Python function. 0: it succeeded. 1 to 255: its errno. 256: the guest ends. Python records the latter two. */
APART uint64_t python(Call *c, void *caller, const Value *v) {
  FunctionState *f = c->f;
  RunState *t = c->t;
  void *a[WORDS + 1], *r = 0;
  uint64_t k = 0, code = 256, whole = 1;
  int gil = api.ensure();
  f->asked++;
  t->era++; /* Python may move a file's position */
  t->began = c->began;
  if (t->nopened) ask(t->adopt, 0);
  if (f->shape.fd == 0 && f->params > 1 && c->w[0] < t->nslots && t->slots[c->w[0]].unready) { /* a call but a close */
    if (t->slots[c->w[0]].unready > 1) t->slots[c->w[0]].unready--;
    else ask(t->ready, c->w[0]);
  }
  a[k++] = api.of_u64((uintptr_t)caller);
  for (uint32_t i = 0; i < f->params; i++) {
    uint64_t high = f->wide >> i & 1 ? (uint64_t)v[i].word[1] << 32 : 0;
    a[k++] = high ? api.of_u64(high | v[i].word[0]) : api.of_u32(v[i].word[0]);
  }
  for (uint64_t i = 0; i < k; i++) whole &= a[i] != 0;
  if (whole) r = api.call(f->target, a, k, 0);
  if (r) code = api.to_u64(r), api.decref(r); else api.clear();
  for (uint64_t i = 0; i < k; i++) if (a[i]) api.decref(a[i]);
  api.release(gil);
  return code;
}

/* ---- reading arguments */

static inline int inside(const GuestState *g, uint32_t p, uint64_t size, uint32_t align) {
  return !(p & (align - 1)) && p + size <= g->size;
}
static uint64_t kept_subscriptions(const Call *c) {
  uint32_t asked = c->w[c->f->shape.count];
  return asked < KEPT_SUBSCRIPTIONS ? asked : KEPT_SUBSCRIPTIONS;
}
/* Copy what the arguments point at, so that no call changes what is recorded of it. 0: something is misaligned, too long, or
 * outside the memory as it is known here: Python looks again and says which. */
APART int take_pointed(Call *c) {
  const Shape *s = &c->f->shape;
  const GuestState *g = c->g;
  const uint32_t *w = c->w;
  for (int i = 0; i < 2 && s->string[i] != NONE; i++) {
    uint32_t p = w[s->string[i]], size = w[s->string[i] + 1];
    if (size > PATH || !inside(g, p, size, 1)) return 0;
    memcpy(c->path[i], g->base + p, size);
    c->path[i][c->length[i] = size] = 0;
  }
  if (s->vector != NONE) {
    uint32_t p = w[s->vector];
    c->count = w[s->vector + 1], c->total = 0;
    if (c->count > IOVECS || !inside(g, p, 8ull * c->count, 4)) return 0;
    memcpy(c->iovecs, g->base + p, 8ull * c->count);
    for (uint32_t i = 0; i < c->count; c->total += c->iovecs[2 * i++ + 1])
      if (!inside(g, c->iovecs[2 * i], c->iovecs[2 * i + 1], 1)) return 0;
  }
  if (s->outbuf != NONE && !inside(g, w[s->outbuf], w[s->outbuf + 1], 1)) return 0;
  if (s->subscriptions != NONE) {
    if (!inside(g, w[s->subscriptions], (uint64_t)w[s->count] * s->subscription_size, 8)) return 0;
    memcpy(c->subscriptions, g->base + w[s->subscriptions], kept_subscriptions(c) * s->subscription_size);
  }
  return 1;
}

static inline int take(Call *c) {
  const Shape *s = &c->f->shape;
  for (int i = 0; i < 2 && s->result[i] != NONE; i++)
    if (!inside(c->g, c->w[s->result[i]], s->result_size[i], s->result_align[i])) return 0;
  return !s->points || take_pointed(c);
}

/* ---- recording */

static uint64_t hash(const void *from, uint64_t n) {
  const uint8_t *p = from;
  uint64_t h = n * 0x9e3779b97f4a7c15ull, x = 0;
  for (; n >= 8; p += 8, n -= 8) memcpy(&x, p, 8), h = (h ^ x) * 0xff51afd7ed558ccdull, h ^= h >> 32;
  if (n) x = 0, memcpy(&x, p, n), h = (h ^ x) * 0xff51afd7ed558ccdull, h ^= h >> 32;
  return h;
}
/* The number of a path in this chunk, from 1; 0 when there is no room for it. */
static uint32_t intern(RunState *t, const void *path, uint32_t size) {
  for (uint64_t i = hash(path, size);; i++) {
    uint32_t *place = t->path_table + (i & (PATHS - 1)), id = *place;
    if (id && t->path_size[id - 1] == size && !memcmp(t->text + t->path_at[id - 1], path, size)) return id;
    if (id) continue;
    if (t->npaths >= MOST_PATHS || t->text_used + size > TEXT) return 0;
    memcpy(t->text + t->text_used, path, size);
    t->path_at[t->npaths] = (uint32_t)t->text_used, t->path_size[t->npaths] = size, t->text_used += size;
    store(&t->npaths, t->npaths + 1);
    return *place = (uint32_t)t->npaths;
  }
}
/* Where the `size` bytes just written at the arena's end lie, in words from 1: there, or where equal ones lie already. */
static uint32_t shared(RunState *t, uint32_t size) {
  uint32_t here = (uint32_t)(t->used >> 2) + 1;
  uint64_t h = hash(t->arena + t->used, size);
  for (uint64_t i = h;; i++) {
    uint32_t *place = t->struct_table + (i & (STRUCTS - 1)), *mark = t->struct_hash + (i & (STRUCTS - 1));
    if (*place && *mark == (uint32_t)(h >> 32) && !memcmp(t->arena + ((*place - 1ull) << 2), t->arena + t->used, size)) return *place;
    if (*place) continue;
    if (t->nstructs < MOST_STRUCTS) *place = here, *mark = (uint32_t)(h >> 32), t->nstructs++;
    store(&t->used, t->used + size);
    return here;
  }
}
static int fits(const RunState *t, uint64_t size) { return t->n < CHUNK && t->used + size <= t->room; }
/* The next record, to be written word by word where it is to lie: a copy of words that were just stored waits for them. */
static uint64_t *next_record(RunState *t) { return (uint64_t *)(t->records + (t->n << 6)); }
static void end_record(RunState *t) { store(&t->n, t->n + 1); } /* from here on a reader sees it, and all that it refers to */
static uint64_t scalar(const GuestState *g, uint32_t p, uint32_t size) { /* 4 or 8 in most calls; one size, one load */
  uint64_t x = 0;
  uint32_t half;
  if (size == 8) memcpy(&x, g->base + p, 8);
  else if (size == 4) memcpy(&half, g->base + p, 4), x = half;
  else memcpy(&x, g->base + p, size);
  return x;
}
typedef struct { const void *at; uint64_t size; } Piece;
static uint8_t *put_piece(uint8_t *to, Piece piece) {
  if (piece.size) memcpy(to, piece.at, piece.size);
  return to + piece.size;
}
/* The record of a call that succeeded: all that it holds is in the call's words, in what `take` copied, and in the guest's
 * memory. Its payload is laid out as layout.py says: head, words after the fourth, aux, data, zeros up to a whole word. */
APART void record(Call *c, int known) {
  RunState *t = c->t;
  const Shape *s = &c->f->shape;
  const GuestState *g = c->g;
  const uint32_t *w = c->w;
  uint64_t took = (c->ended ? c->ended : now(t)) - c->began, result = 0, size = 0;
  uint32_t flags = t->flags, where = 0, path = 0, second = 0;
  Piece aux[2] = {{0, 0}, {0, 0}}, data = {0, 0}; /* of a vector only the size of `data`: its bytes lie in many places */
  if (known && s->result[0] != NONE && !s->is_struct) {
    result = s->result[1] == NONE ? scalar(g, w[s->result[0]], s->result_size[0]) : t->result; /* two may share a place */
    if (s->result[1] != NONE) second = (uint32_t)scalar(g, w[s->result[1]], s->result_size[1]);
  }
  if (known && s->payload) {
    if (s->vector != NONE) {
      aux[0] = (Piece){c->iovecs, 8ull * (c->count < KEPT_IOVECS ? c->count : KEPT_IOVECS)};
      data.size = result < c->total ? result : c->total;
      if (c->count > KEPT_IOVECS) flags |= TRUNCATED;
    } else if (s->subscriptions != NONE) {
      uint64_t events = inside(g, w[s->events], 32 * result, 1) ? 32 * result : 0;
      aux[0] = (Piece){c->subscriptions, (uint64_t)s->subscription_size * kept_subscriptions(c)};
      if (result <= KEPT_EVENTS) aux[1] = (Piece){g->base + w[s->events], events};
      else if (events <= t->snap) data = (Piece){g->base + w[s->events], events};
    } else if (s->string[1] != NONE) aux[0] = (Piece){c->path[1], c->length[1]};
    else if (s->is_struct) aux[0] = (Piece){g->base + w[s->result[0]], s->result_size[0]};
    if (s->result[1] != NONE) aux[1] = (Piece){&second, 4};
    if (s->outbuf != NONE) data = (Piece){g->base + w[s->outbuf], w[s->outbuf + 1]};
    if (s->outbuf != NONE && s->result[0] != NONE && result < data.size) data.size = result;
    if (s->strings != NONE && inside(g, w[s->strings + 1], t->extent, 1)) data = (Piece){g->base + w[s->strings + 1], t->extent};
    if (data.size > t->snap) data.size = t->snap, flags |= TRUNCATED;
    size = 8 + 4ull * s->extra + aux[0].size + aux[1].size + data.size;
  }
  if (!fits(t, size + 4)) visit(t->turn, size + 4);
  if (known && s->string[0] != NONE && !(path = intern(t, c->path[0], c->length[0]))) {
    visit(t->turn, size + 4);
    path = intern(t, c->path[0], c->length[0]);
  }
  if (!fits(t, size + 4)) size = 0, flags |= TRUNCATED; /* Python has no memory left: the record alone */
  if (t->n >= CHUNK) { t->lost++; return; }
  if (size) {
    uint8_t *start = t->arena + t->used, *z = start;
    uint32_t head[2] = {(uint32_t)(aux[0].size + aux[1].size) << 16, (uint32_t)data.size};
    memcpy(z, head, 8), z += 8;
    memcpy(z, w + 4, 4ull * s->extra), z += 4 * s->extra;
    z = put_piece(put_piece(z, aux[0]), aux[1]);
    if (s->vector == NONE) z = put_piece(z, data);
    else for (uint32_t i = 0; data.size; i++) {
      uint64_t part = c->iovecs[2 * i + 1] < data.size ? c->iovecs[2 * i + 1] : data.size;
      z = put_piece(z, (Piece){g->base + c->iovecs[2 * i], part}), data.size -= part;
    }
    memset(z, 0, 4), z += -(z - start) & 3;
    if (s->is_struct) where = shared(t, (uint32_t)(z - start));
    else where = (uint32_t)(t->used >> 2) + 1, store(&t->used, t->used + (uint64_t)(z - start));
  }
  uint64_t *q = next_record(t);
  q[0] = c->began > t->origin ? c->began - t->origin : 0, q[1] = took, q[2] = result;
  q[3] = c->life | (uint64_t)path << 32, q[4] = t->stack | (uint64_t)where << 32, q[5] = c->f->meta | (uint64_t)flags << 32;
  q[6] = w[0] | (uint64_t)w[1] << 32, q[7] = w[2] | (uint64_t)w[3] << 32;
  end_record(t);
}
/* A record that Python made, of a call that failed or did not return. `q[0]` is the time when it began, and it ends now.
 * 0: there is no room; begin a chunk and come again. */
API int turbo_note(RunState *t, const uint64_t q[8], const uint8_t *path, uint32_t path_size, const uint8_t *payload, uint64_t size) {
  uint64_t id = 0;
  if (!fits(t, size) || (path && !(id = intern(t, path, path_size)))) return 0;
  uint64_t *r = next_record(t), end = now(t);
  memcpy(r, q, 64);
  r[0] = q[0] > t->origin ? q[0] - t->origin : 0, r[3] |= id << 32;
  r[1] = end > q[0] ? end - q[0] : 0; /* `q[0]` may come of another clock */
  if (size) {
    memcpy(t->arena + t->used, payload, size);
    r[4] |= ((t->used >> 2) + 1) << 32;
    store(&t->used, t->used + size);
  }
  end_record(t);
  return 1;
}
/* How much of the chunk is complete, for a reader on any thread. */
API void turbo_seen(RunState *t, uint64_t seen[3]) { seen[0] = load(&t->n), seen[1] = load(&t->used), seen[2] = load(&t->npaths); }
API void turbo_fresh(RunState *t, uint64_t first) { /* an empty chunk whose first call is number `first` */
  if (t->npaths) memset(t->path_table, 0, 4 * PATHS);
  if (t->nstructs) memset(t->struct_table, 0, 4 * STRUCTS);
  t->first = first, t->text_used = t->nstructs = 0;
  store(&t->npaths, 0), store(&t->used, 0), store(&t->n, 0);
}

/* ---- a full chunk in fewer bytes, in memory only; unpacked here too, when somebody reads */

/* Records: a byte of bits for the words that differ from those of the record before, and the differences, each as a zigzag
 * varint. At most 81 bytes a record. */
API uint64_t turbo_pack(const uint64_t *q, uint64_t n, uint8_t *o) {
  uint8_t *start = o;
  uint64_t last[8] = {0};
  for (uint64_t i = 0; i < n; i++, q += 8) {
    uint8_t *mask = o++, bits = 0;
    for (int k = 0; k < 8; k++) {
      uint64_t d = q[k] - last[k];
      if (!d) continue;
      bits |= (uint8_t)(1 << k), last[k] = q[k];
      for (d = d << 1 ^ (0 - (d >> 63)); d > 127; d >>= 7) *o++ = (uint8_t)(d | 128);
      *o++ = (uint8_t)d;
    }
    *mask = bits;
  }
  return (uint64_t)(o - start);
}
API void turbo_unpack(const uint8_t *o, uint64_t n, uint64_t *q) {
  uint64_t last[8] = {0};
  for (uint64_t i = 0; i < n; i++, q += 8) {
    uint8_t mask = *o++;
    for (int k = 0; k < 8; k++) {
      uint64_t z = 0;
      if (mask >> k & 1) {
        for (int s = 0;; s += 7) { z |= (uint64_t)(*o & 127) << s; if (*o++ < 128) break; }
        last[k] += z >> 1 ^ (0 - (z & 1));
      }
      q[k] = last[k];
    }
  }
}
/* Payloads: of each, a byte of bits for every eight words, and the words that differ from the payload before of the same call.
 * `unpack` 0: from `a` into `o`; 1: the other way. Returns the packed bytes, at most 33 for every 32, and one a record. */
API uint64_t turbo_payloads(const uint64_t *q, uint64_t n, uint32_t *a, uint64_t words, uint8_t *o, int unpack) {
  uint8_t *start = o;
  uint64_t last[256], at = 0;
  for (int i = 0; i < 256; i++) last[i] = ~0ull;
  for (uint64_t i = 0; i < n && at < words; i++) {
    if (q[8 * i + 4] >> 32 != at + 1) continue; /* no payload, or a shared one */
    uint64_t end = words, *before = last + (q[8 * i + 5] & 255);
    for (uint64_t j = i + 1; j < n; j++)
      if (q[8 * j + 4] >> 32 > at + 1) { end = (q[8 * j + 4] >> 32) - 1; break; }
    for (uint64_t k = at; k < end; k += 8) {
      uint8_t *mask = o++;
      if (!unpack) *mask = 0;
      for (uint64_t b = 0; b < 8 && k + b < end; b++) {
        uint32_t old = *before == ~0ull ? 0 : a[*before + (k - at) + b];
        if (unpack && !(*mask >> b & 1)) a[k + b] = old;
        else if (unpack) memcpy(a + k + b, o, 4), o += 4;
        else if (a[k + b] != old) *mask |= (uint8_t)(1 << b), memcpy(o, a + k + b, 4), o += 4;
      }
    }
    *before = at, at = end;
  }
  return (uint64_t)(o - start);
}

/* ---- descriptors */

/* The slot of the call's descriptor if C may use it so, announced in `held`. Whoever closes a host descriptor clears the slot
 * first and waits until it is not held (`turbo_withdraw`): its number cannot become another file's while it is used here. */
static Slot *hold(Call *c, uint64_t right, uint32_t kinds) {
  RunState *t = c->t;
  uint32_t fd = c->w[0];
  if (fd >= t->nslots) return 0;
  Slot *s = t->slots + fd;
  __atomic_exchange_n(&t->held, fd + 1, __ATOMIC_SEQ_CST); /* a closer sees it, or `allowed` is seen cleared here */
  c->allowed = load(&s->allowed);
  if (!(c->allowed & IN_USE)) return 0;
  c->in_force = load(t->live + s->grant);
  return right & ~(c->allowed & c->in_force) || !(kinds >> s->kind & 1) ? 0 : s;
}
API void turbo_withdraw(RunState *t, uint32_t fd) {
  __atomic_store_n(&t->slots[fd].allowed, 0, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&t->held, __ATOMIC_SEQ_CST) == fd + 1) sched_yield();
}
/* Enter what Python opened, of which nothing but the life is filled in yet; take it out. 0: it is more than that. */
API int turbo_enter(RunState *t, uint32_t fd, uint32_t life) {
  Slot *s = t->slots + fd;
  if (fd >= t->nslots || s->life == life) return 0;
  *s = (Slot){.host = -1, .generation = s->generation + 1, .unready = USES};
  store(&s->life, life);
  t->open++;
  if (life > t->lives) t->lives = life;
  return 1;
}
API int turbo_leave(RunState *t, uint32_t fd) {
  Slot *s = t->slots + fd;
  if (!s->unready) return 0;
  s->unready = 0;
  store(&s->life, 0);
  t->open--;
  if (fd < t->lowest) t->lowest = fd;
  return 1;
}
API void turbo_put(uint64_t *place, uint64_t value) { __atomic_store_n(place, value, __ATOMIC_SEQ_CST); }

/* ---- the calls. Each returns 1 when it is done and its results lie in the guest's memory, 0 to leave it to Python. */

static void put32(Call *c, uint32_t p, uint32_t x) { memcpy(c->g->base + p, &x, 4); }
static void put64(Call *c, uint32_t p, uint64_t x) { memcpy(c->g->base + p, &x, 8); }
static uint64_t wide(const Call *c, int word) { return c->w[word] | (uint64_t)c->w[word + 1] << 32; }
static const clockid_t CLOCKS[4] = {CLOCK_REALTIME, STEADY, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};

static int clock_time_get(Call *c) {
  uint32_t id = c->w[0];
  if (id > 3 || !(load(&c->t->clocks) >> id & 1)) PYTHON;
  uint64_t ns = clock_ns(CLOCKS[id]);
  put64(c, c->w[3], ns);
  if (id == 1 && ns > c->began) c->ended = ns; /* what it read is the time */
  return 1;
}
static int clock_res_get(Call *c) {
  uint32_t id = c->w[0];
  if (id > 3 || !(load(&c->t->clocks) >> id & 1)) PYTHON;
  put64(c, c->w[1], c->t->resolution[id]);
  return 1;
}
static int random_get(Call *c) {
  if (!load(&c->t->random) || c->w[1] > RANDOM) PYTHON;
  if (!fill_randomly(c->g->base + c->w[0], c->w[1])) PYTHON;
  return 1;
}
static int yield(Call *c) { (void)c; return !sched_yield(); }

static int sizes(Call *c, StringBlock *s) {
  if (!load(&s->ready)) PYTHON;
  store(&s->asked, 1); /* should the strings change now, Python refuses to give more than was announced */
  c->t->result = s->count;
  put32(c, c->w[0], s->count), put32(c, c->w[1], s->size);
  return 1;
}
static int strings(Call *c, StringBlock *s) {
  uint32_t at = c->w[0], to = c->w[1], k = 0;
  if (!load(&s->ready) || !inside(c->g, at, 4ull * s->count, 4) || !inside(c->g, to, s->size, 1)) PYTHON;
  for (uint32_t i = 0; i < s->count; i++, k += (uint32_t)strlen((const char *)s->block + k) + 1) put32(c, at + 4 * i, to + k);
  memcpy(c->g->base + to, s->block, s->size);
  c->t->extent = s->size;
  return 1;
}
static int args_sizes_get(Call *c) { return sizes(c, c->t->strings); }
static int environ_sizes_get(Call *c) { return sizes(c, c->t->strings + 1); }
static int args_get(Call *c) { return strings(c, c->t->strings); }
static int environ_get(Call *c) { return strings(c, c->t->strings + 1); }

static int64_t host_io(Slot *s, const struct iovec *io, int k, int writing, int at, int64_t offset) {
  if (k > 1 && at) return writing ? pwritev(s->host, io, k, offset) : preadv(s->host, io, k, offset);
  if (k > 1) return writing ? SYSTEM(writev, s->host, io, k) : SYSTEM(readv, s->host, io, k);
  if (at && writing) return SYSTEM(write_at, s->host, io->iov_base, io->iov_len, offset);
  if (at) return SYSTEM(read_at, s->host, io->iov_base, io->iov_len, offset);
  return writing ? SYSTEM(write, s->host, io->iov_base, io->iov_len) : SYSTEM(read, s->host, io->iov_base, io->iov_len);
}
API int turbo_charge(QuotaState *m, int64_t size) { /* 0: the quota has not so much left */
  uint64_t used = load(&m->used);
  do if (size > 0 && ((uint64_t)size > m->most || used > m->most - (uint64_t)size)) return 0;
  while (!__atomic_compare_exchange_n(&m->used, &used, used + (uint64_t)size, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  return 1;
}
API void turbo_lock(Content *m) { while (__atomic_exchange_n(&m->lock, 1, __ATOMIC_ACQUIRE)) sched_yield(); }
API void turbo_unlock(Content *m) { store(&m->lock, 0); }
static int try_lock(Content *m) { return !__atomic_exchange_n(&m->lock, 1, __ATOMIC_ACQUIRE); } /* else let Python wait */
static void gather(uint8_t *to, const struct iovec *io, int k) {
  for (int i = 0; i < k; to += io[i++].iov_len) memcpy(to, io[i].iov_base, io[i].iov_len);
}
/* stdout and stderr, in the order of writing. A write goes on with the last piece if that is of the same stream. */
static int64_t output(RunState *t, const Slot *s, const struct iovec *io, int k, uint64_t total) {
  Content *m = &t->out;
  uint32_t head = 0;
  if (total > m->capacity || !try_lock(m)) return -1;
  if (m->size) memcpy(&head, m->data + t->piece, 4);
  uint64_t at = !m->size || (head & 1) != (uint32_t)s->host ? m->size + 4 : m->size;
  int fits = at + total <= m->capacity;
  if (fits) {
    if (at != m->size) t->piece = m->size, head = (uint32_t)s->host;
    head += (uint32_t)total << 1;
    memcpy(m->data + t->piece, &head, 4);
    gather(m->data + at, io, k);
    m->size = at + total;
  }
  turbo_unlock(m);
  return fits ? (int64_t)total : -1;
}
/* Reading; and writing where no gap arises and the block need not grow, which is Python's work. */
static int64_t memory_io(Slot *s, const struct iovec *io, int k, uint64_t total, int writing, int at, int64_t offset) {
  OpenContent *h = s->handle;
  Content *m = h->content;
  int64_t done = -1;
  if (!try_lock(m)) return -1;
  uint64_t place = writing && s->append ? m->size : (uint64_t)(at ? offset : h->position), end = place + total;
  if (writing && place <= m->size && end <= m->capacity && m->meter->real
      && (end <= m->size || turbo_charge(m->meter, (int64_t)(end - m->size)))) {
    if (end > m->size) m->size = end;
    m->touched = clock_ns(CLOCK_REALTIME), done = (int64_t)total;
    gather(m->data + place, io, k);
  } else if (!writing && end <= INT64_MAX) {
    uint64_t left = place < m->size ? m->size - place : 0, part;
    done = 0;
    for (int i = 0; i < k && left; i++, done += (int64_t)part, left -= part)
      part = io[i].iov_len < left ? io[i].iov_len : left, memcpy(io[i].iov_base, m->data + place + done, part);
  }
  if (done >= 0 && !at) h->position = (int64_t)place + done;
  turbo_unlock(m);
  return done;
}
/* Only C moves a host file's position until Python runs again, so until then it is remembered. */
static int remembered(RunState *t, Slot *s) { return s->kind == HOST_FILE && s->era == t->era; }

ALWAYS int moved(Call *c, int writing, int at) { /* fd_read, fd_write, fd_pread, fd_pwrite */
  RunState *t = c->t;
  struct iovec io[NATIVE_IOVECS];
  int k = 0;
  int64_t offset = at ? (int64_t)wide(c, 3) : 0, r;
  if (!c->total || c->total > load(&t->io) || c->count > NATIVE_IOVECS || offset < 0) PYTHON;
  if (writing && t->written + c->total > load(&t->most_written)) PYTHON;
  Slot *s = hold(c, c->f->right, 1 << HOST_FILE | 1 << MEMORY | (writing && !at) << STREAM);
  if (!s || (writing && s->kind != STREAM && (at ? (uint64_t)offset > s->known_end : s->beyond))) PYTHON;
  for (uint32_t i = 0; i < c->count; i++)
    if (c->iovecs[2 * i + 1]) io[k].iov_base = c->g->base + c->iovecs[2 * i], io[k++].iov_len = c->iovecs[2 * i + 1];
  r = s->kind == HOST_FILE ? host_io(s, io, k, writing, at, offset)
    : s->kind == STREAM ? output(t, s, io, k, c->total) : memory_io(s, io, k, c->total, writing, at, offset);
  if (r < 0) PYTHON;
  if (!at && remembered(t, s)) s->position += r, s->era -= writing && s->append; /* where the end was is not known */
  if (writing) t->written += (uint64_t)r;
  if (writing && at && r && (uint64_t)(offset + r) > s->known_end) s->known_end = (uint64_t)(offset + r);
  put32(c, c->w[at ? 5 : 3], (uint32_t)r);
  return 1;
}
static int fd_read(Call *c) { return moved(c, 0, 0); }
static int fd_write(Call *c) { return moved(c, 1, 0); }
static int fd_pread(Call *c) { return moved(c, 0, 1); }
static int fd_pwrite(Call *c) { return moved(c, 1, 1); }

static int64_t seek(RunState *t, Slot *s, int64_t offset, uint32_t whence) {
  int64_t to = 0;
  if (s->kind == MEMORY) {
    if (whence == SEEK_CUR) to = s->handle->position;
    if (whence == SEEK_END) to = (int64_t)load(&s->handle->content->size);
    return __builtin_add_overflow(to, offset, &to) || to < 0 ? -1 : (s->handle->position = to);
  }
  if (whence == SEEK_CUR && !offset && remembered(t, s)) return s->position;
  to = lseek(s->host, offset, (int)whence);
  if (to >= 0) s->position = to, s->era = t->era;
  return to;
}
static int fd_seek(Call *c) {
  int64_t offset = (int64_t)wide(c, 1), to;
  uint32_t whence = c->w[3]; /* numbered as POSIX does */
  Slot *s = hold(c, c->f->right | (whence == SEEK_CUR && !offset ? 0 : RIGHT_SEEK), 1 << HOST_FILE | 1 << MEMORY);
  if (!s || whence > 2 || (to = seek(c->t, s, offset, whence)) < 0) PYTHON;
  if ((uint64_t)to > s->known_end) s->beyond = 1;
  put64(c, c->w[4], (uint64_t)to);
  return 1;
}
static int fd_tell(Call *c) {
  int64_t at;
  Slot *s = hold(c, c->f->right, 1 << HOST_FILE | 1 << MEMORY);
  if (!s || (at = seek(c->t, s, 0, SEEK_CUR)) < 0) PYTHON;
  put64(c, c->w[1], (uint64_t)at);
  return 1;
}

#define NS(x) ((uint64_t)(x).tv_sec * 1000000000u + (uint64_t)(x).tv_nsec)
static int put_filestat(Call *c, uint32_t p, const struct stat *st) {
  static const uint8_t TYPES[16] = {[S_IFREG >> 12] = 4, [S_IFDIR >> 12] = 3, [S_IFLNK >> 12] = 7, [S_IFCHR >> 12] = 2,
                                    [S_IFBLK >> 12] = 1, [S_IFSOCK >> 12] = 6};
  if (TIME(st, a).tv_sec < 0 || TIME(st, m).tv_sec < 0 || TIME(st, c).tv_sec < 0) return 0; /* before 1970 */
  uint64_t o[8] = {(uint64_t)st->st_dev, st->st_ino, TYPES[st->st_mode >> 12 & 15], st->st_nlink, (uint64_t)st->st_size,
                   NS(TIME(st, a)), NS(TIME(st, m)), NS(TIME(st, c))};
  memcpy(c->g->base + p, o, 64);
  return 1;
}
static int fd_filestat_get(Call *c) {
  struct stat st;
  Slot *s = hold(c, c->f->right, 1 << HOST_FILE | 1 << DIRECTORY);
  if (!s || SYSTEM(fstat, s->host, &st) || !put_filestat(c, c->w[1], &st)) PYTHON;
  return 1;
}
static int fd_fdstat_get(Call *c) {
  Slot *s = hold(c, 0, ~0u);
  if (!s) PYTHON;
  memcpy(c->g->base + c->w[1], s->fdstat, 24);
  return 1;
}
static int fd_prestat_get(Call *c) {
  Slot *s = hold(c, 0, ~0u);
  if (!s || !s->name) PYTHON;
  put64(c, c->w[1], (uint64_t)s->name_size << 32); /* tag 0: a directory */
  return 1;
}
static int fd_prestat_dir_name(Call *c) {
  Slot *s = hold(c, 0, ~0u);
  if (!s || !s->name || c->w[2] < s->name_size) PYTHON;
  memcpy(c->g->base + c->w[1], s->name, s->name_size);
  return 1;
}

/* The directory that holds the last name of the call's path, and that name; -1 for a path of anything but ASCII names, and for
 * one that the kernel does not walk beneath `root` within one mount. The caller closes what is not `root`. */
static int parent(Call *c, int root, const char **name) {
  char *path = c->path[0], *slash = 0;
  for (uint32_t i = 0; i < c->length[0]; i++) {
    if ((signed char)path[i] <= 0) return -1;
    if (path[i] == '/') slash = path + i;
  }
  *name = slash ? slash + 1 : path;
  if (slash == path || !**name || !strcmp(*name, ".") || !strcmp(*name, "..")) return -1;
  if (!slash) return root;
  *slash = 0;
  int found = open_beneath(root, path);
  *slash = '/';
  return found;
}
/* Look at the last name: not through a link, and only where the device is the directory's own. A procfs, which Python refuses,
 * never is: the directory was asked when it was granted, and nothing else gets its device number while it is open. That there is
 * no such name is noted, so that Python need not look again. */
static int look(RunState *t, int place, const char *name, const Slot *s, struct stat *st) {
  if (fstatat(place, name, st, AT_SYMLINK_NOFOLLOW)) return t->missing = errno == ENOENT, 0;
  return (uint64_t)st->st_dev == s->device && !S_ISLNK(st->st_mode);
}
static int path_filestat_get(Call *c) {
  struct stat st;
  const char *name;
  Slot *s = hold(c, c->f->right, 1 << DIRECTORY);
  int place = s && c->w[1] < 2 ? parent(c, s->host, &name) : -1;
  if (place < 0) PYTHON;
  int found = look(c->t, place, name, s, &st);
  if (place != s->host) SYSTEM(close, place);
  if (!found || !put_filestat(c, c->w[4], &st)) PYTHON;
  return 1;
}
enum { KEY = offsetof(Recipe, asks) }; /* bytes of a recipe that are compared */
API uint32_t turbo_recipe(const Recipe *r) { return hash(r, KEY) & (RECIPES - 1); } /* its place */
static Recipe *recipe(Call *c, const Slot *s) {
  Recipe wanted = {wide(c, 5), wide(c, 7), s->life, s->grant, c->w[1], c->w[4], c->w[9], 0, 0, 0, 0, {0}, 0, 0};
  Recipe *r = c->t->recipes + turbo_recipe(&wanted);
  return memcmp(r, &wanted, KEY) || r->asks & ~c->allowed || (r->asks | r->reach) & ~c->in_force ? 0 : r;
}
/* Open a file that is there. What was looked at may have been swapped since: what counts is what was opened. */
static int open_as(RunState *t, int place, const char *name, const Slot *s, int flags) {
  struct stat st;
  if (!look(t, place, name, s, &st) || !S_ISREG(st.st_mode)) return -1;
  int host = (int)SYSTEM(openat, place, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (host >= 0 && (SYSTEM(fstat, host, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_dev != s->device)) SYSTEM(close, host), host = -1;
  return host;
}
static int path_open(Call *c) {
  RunState *t = c->t;
  const char *name;
  uint64_t fd = t->lowest;
  uint32_t path;
  Slot *s = hold(c, RIGHT_PATH_OPEN, 1 << DIRECTORY);
  Recipe *r = s ? recipe(c, s) : 0;
  if (!r || t->open >= load(&t->most_open) || t->nopened == OPENED) PYTHON;
  while (fd < t->nslots && load(&t->slots[fd].life)) fd++;
  if (fd == t->nslots || !(path = intern(t, c->path[0], c->length[0]))) PYTHON;
  int place = parent(c, s->host, &name);
  if (place < 0) PYTHON;
  int host = open_as(t, place, name, s, r->flags);
  if (place != s->host) SYSTEM(close, place);
  if (host >= 0 && (uint64_t)host >= t->ceiling) SYSTEM(close, host), host = -1; /* the process's last descriptors are no guest's */
  if (host < 0) PYTHON;
  Slot *d = t->slots + fd;
  *d = (Slot){.life = (uint32_t)++t->lives, .host = host, .era = t->era, .generation = d->generation + 1, .grant = s->grant,
              .kind = HOST_FILE, .append = (uint8_t)r->append, .opened = (uint32_t)t->nopened + 1};
  memcpy(d->fdstat, r->fdstat, 24);
  t->opened[t->nopened] = (Opened){t->first + t->n, STILL_OPEN, d->life, (uint32_t)fd, d->generation, s->life, path,
                                   (uint32_t)(r - t->recipes), host, 0};
  store(&t->nopened, t->nopened + 1);
  store(&d->allowed, r->allowed | IN_USE);
  t->open++, t->lowest = fd + 1;
  put32(c, c->w[10], (uint32_t)fd);
  return 1;
}
static int fd_close(Call *c) { /* of a file that Python has not heard of: another one has an object, whose affair it is */
  RunState *t = c->t;
  Slot *s = hold(c, 0, 1 << HOST_FILE);
  if (!s || !s->opened) PYTHON;
  Opened *o = t->opened + s->opened - 1;
  store(&s->allowed, 0);
  if (o->host = -1, SYSTEM(close, s->host)) { o->error = errno; PYTHON; }
  store(&o->ended, t->first + t->n);
  s->opened = 0, s->kind = NEITHER;
  store(&s->life, 0);
  t->open--;
  if (c->w[0] < t->lowest) t->lowest = c->w[0];
  return 1;
}

/* ---- the way in */

/* `params` and `wide` are the function's, known here for a native call, so that the loop over them is none. */
ALWAYS void *enter(void *env, void *caller, Value *v, size_t n, int (*native)(Call *), uint32_t params, uint32_t wide) {
  FunctionState *f = env;
  RunState *t = f->guest->run;
  Call c;
  uint64_t code = 0;
  uint32_t k = 0;
  int done = 0;
  c.f = f, c.g = f->guest, c.t = t, c.life = 0, c.ended = 0;
  c.began = t->records ? now(t) : 0;
  for (uint32_t i = 0; i < params; i++) {
    c.w[k++] = v[i].word[0];
    if (wide >> i & 1) c.w[k++] = v[i].word[1];
  }
  while (k < 4) c.w[k++] = 0;
  if (f->shape.fd != NONE && c.w[f->shape.fd] < t->nslots) c.life = load(&t->slots[c.w[f->shape.fd]].life);
  int known = !(f->mode & FOREIGN) && take(&c);
  if (!known) { /* the memory has grown, is another instance's, or the pointer is bad */
    visit(c.g->find, (uintptr_t)caller);
    known = take(&c);
  }
  t->flags = t->stack = 0, t->missing = 0;
  if (known && native && !f->mode) {
    done = native(&c);
    if (f->shape.fd != NONE) store(&t->held, 0);
  }
  if (done) f->answered++;
  else code = python(&c, caller, v);
  if (!code && t->records) record(&c, known);
  if (code > 255) return api.trap("wasilab ended the guest", 23);
  if (n) v[0].word[0] = (uint32_t)code;
  return 0;
}
API void *turbo_python(void *env, void *caller, Value *v, size_t n) {
  return enter(env, caller, v, n, 0, ((FunctionState *)env)->params, ((FunctionState *)env)->wide);
}
#define CALL(name, function, params, wide) API void *turbo_##name(void *env, void *caller, Value *v, size_t n) { \
  return enter(env, caller, v, n, function, params, wide); \
}
CALL(args_get, args_get, 2, 0) CALL(args_sizes_get, args_sizes_get, 2, 0)
CALL(environ_get, environ_get, 2, 0) CALL(environ_sizes_get, environ_sizes_get, 2, 0)
CALL(clock_res_get, clock_res_get, 2, 0) CALL(clock_time_get, clock_time_get, 3, 1 << 1)
CALL(random_get, random_get, 2, 0) CALL(sched_yield, yield, 0, 0)
CALL(fd_close, fd_close, 1, 0) CALL(fd_fdstat_get, fd_fdstat_get, 2, 0) CALL(fd_filestat_get, fd_filestat_get, 2, 0)
CALL(fd_prestat_get, fd_prestat_get, 2, 0) CALL(fd_prestat_dir_name, fd_prestat_dir_name, 3, 0)
CALL(fd_read, fd_read, 4, 0) CALL(fd_write, fd_write, 4, 0)
CALL(fd_pread, fd_pread, 5, 1 << 3) CALL(fd_pwrite, fd_pwrite, 5, 1 << 3)
CALL(fd_seek, fd_seek, 4, 1 << 1) CALL(fd_tell, fd_tell, 2, 0)
CALL(path_filestat_get, path_filestat_get, 5, 0) CALL(path_open, path_open, 9, 1 << 5 | 1 << 6)
