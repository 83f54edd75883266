/* What turbo.c shares with Python: `binding.py` has a ctypes class for each of these structs, and checks sizes and places when
 * it loads the library. All numbers are little endian, pointers have 64 bits. */
#include <stddef.h>
#include <stdint.h>

enum {
  VERSION = 2,                  /* of these layouts; another one is not loaded */
  CHUNK = 8192,                 /* records of a chunk (trace/record/layout.py) */
  WORDS = 16,                   /* 32-bit argument words of a call: path_open has eleven */
  PATH = 4096,                  /* bytes of a path; more is NAMETOOLONG */
  IOVECS = 1024,                /* entries of an iovec array; more is INVAL */
  NATIVE_IOVECS = 16,           /* entries of one native read or write: stdio uses two */
  KEPT_IOVECS = 64,             /* entries that a record keeps, */
  KEPT_SUBSCRIPTIONS = 256,     /* subscriptions of a poll that it keeps, */
  KEPT_EVENTS = 1024,           /* and events: more than these are data, within the snap length */
  RANDOM = 256,                 /* bytes that getrandom(2) gives in one piece, never interrupted */
  PATHS = 1 << 14,              /* places of the table of a chunk's paths, */
  MOST_PATHS = PATHS - 1024,    /* and how many are filled: hashing needs gaps */
  TEXT = 4 << 20,               /* bytes of all paths of a chunk (SIDE_BYTES) */
  STRUCTS = 512,                /* the same two for the struct results that records share */
  MOST_STRUCTS = 256,
  OPENED = 4096,                /* files opened between two visits to Python: half a chunk, each is closed too */
  RECIPES = 1024,
  USES = 2,                     /* at this call on what Python opened its slot is filled in: much is opened for one */
  NONE = 255,                   /* no such argument */
  TRUNCATED = 2                 /* Flag.TRUNCATED */
};
enum { OTHER, HOST_FILE, DIRECTORY, OUTPUT, MEMORY }; /* what stands behind a descriptor; OTHER is Python's alone */
enum { RIGHT_SEEK = 1 << 2, RIGHT_PATH_OPEN = 1 << 13 };
#define IN_USE (1ull << 63)     /* in a slot's `allowed`: what else it holds may be read */
enum { OFF = 1, FOREIGN = 2 };  /* of a Func: Python answers; the memory may be another instance's at each call */

typedef struct { uint32_t word[4]; } Val; /* wasmtime_val_raw_t */

typedef struct { /* the quota of a folder in memory */
  uint64_t used, most;
  uint32_t real, pad;           /* whether the folder's times are the machine's */
} Meter;
typedef struct { /* the bytes of a file in memory; `lock` is held for one copy */
  uint8_t *data;
  uint64_t size, capacity;
  uint64_t touched;             /* when C last wrote, ns since the epoch; 0 once Python has seen it */
  Meter *meter;
  uint32_t lock, pad;
} Content;
typedef struct { Content *content; int64_t position; } Handle; /* an open file in memory */

typedef struct { /* one number of the guest's descriptor table */
  uint64_t allowed;             /* IN_USE, and the rights with which C may act. Written last, cleared first. */
  uint64_t era;                 /* that of the run when `position` was known */
  union { int64_t position; uint64_t device; }; /* of a host file; st_dev of a directory */
  uint64_t known_end;           /* the file reaches so far at least, see wasi.fdtable.FileReach */
  Handle *handle;
  const uint8_t *name;          /* of a preopened directory */
  uint32_t name_size, life;     /* life 0: the number is free */
  int32_t host;                 /* descriptor of this process; of OUTPUT: 0 for stdout, 1 for stderr */
  uint32_t opened;              /* 1-based index into the run's `opened`; 0: Python knows it */
  uint32_t generation, grant;   /* openings of this number so far; index into the run's `live` */
  uint8_t kind, append, beyond, unready, pad[4]; /* `beyond`: the next write may leave a gap, which Python counts;
                                                    `unready`: only the life is filled in; calls until all is */
  uint8_t fdstat[24];           /* what fd_fdstat_get shows */
} Slot;
typedef struct { /* a file that C opened; Python hears of it at its next visit */
  uint64_t began, ended;        /* the calls that opened and closed it; ended ~0: it is open */
  uint32_t life, fd, generation, directory, path, recipe; /* `directory` is a life, `path` a number of the chunk */
  int32_t host, error;          /* `error`: errno of a close that failed, for Python to raise */
} Opened;
typedef struct { /* a path_open with these arguments that succeeded in Python, for C to do the next ones */
  uint64_t base, inheriting;
  uint32_t life, grant, dirflags, oflags, fdflags, pad;
  uint64_t asks, reach;         /* rights that the directory must have; rights that its grant must still give */
  uint64_t allowed;             /* of the file, as is `fdstat` */
  uint8_t fdstat[24];
  int32_t flags;                /* of openat */
  uint32_t append;
} Recipe;
enum { RECIPE_KEY = 40 };       /* bytes of a recipe that are compared: up to `asks` */

typedef struct { uint32_t ready, asked, count, size; const uint8_t *block; } Strings; /* argv, environ; `size` with NULs */

typedef struct { /* one host and its recorder */
  uint8_t *records, *arena;     /* the chunk that is written; records 0: nothing is recorded */
  uint64_t n, used, room, first, origin, snap;
  uint8_t *text;                /* its paths */
  uint32_t *path_at, *path_size, *path_table, *struct_table, *struct_hash;
  uint64_t text_used, npaths, nstructs, lost;
  uint64_t steady, tsc_base, ns_base, tsc, ns, scale; /* time stamps */
  uint64_t began;               /* of the call that Python answers now */
  uint64_t result, extent;      /* what Python says of it: the first of two results, bytes of strings laid out, */
  uint32_t flags, stack;        /* flags and stack for its record */
  Slot *slots;                  /* what is granted */
  uint64_t *live;               /* by grant: the rights in force. A revocation is one store here. */
  uint64_t nslots, held, era;
  uint64_t io, written, most_written, clocks, resolution[4], random;
  Strings strings[2];
  Opened *opened;
  Recipe *recipes;
  uint64_t nopened, lives, open, most_open, lowest, ceiling;
  uint8_t *out;                 /* stdout and stderr, collected: entries of (size << 1 | stream as u32, bytes), in a ring */
  uint64_t out_size, out_head, out_tail;
  void *turn, *adopt, *ready;   /* Python functions: begin a new chunk; take over what was opened; fill in a slot */
} Run;
typedef struct { /* one instance of a module */
  Run *run;
  uint8_t *base;                /* its memory as it was last seen: it grows, and never moves */
  uint64_t size;
  void *find;                   /* Python function that looks again */
} Guest;

typedef struct { /* where a call's arguments lie, from the spec table: indices of words, NONE for what it has not */
  uint8_t fd, string[2], vector, outbuf, strings, subscriptions, events, count;
  uint8_t result[2], result_size[2], result_align[2], is_struct, subscription_size;
  uint8_t extra, payload, points, pad[4]; /* words of the payload; whether there is one; whether words point at input */
} Shape;
typedef struct { /* one imported function */
  Guest *guest;
  void *target;                 /* the Python function: target(caller, *arguments) */
  uint64_t meta, right;         /* the record's columns from `call` to `tid`; the right that the descriptor needs */
  uint64_t answered, asked;     /* calls by C and by Python */
  uint32_t params, wide, mode, pad; /* number of parameters, a bit for each i64, OFF | FOREIGN */
  Shape shape;
} Func;

typedef struct { /* addresses of functions of Python, and one of Wasmtime */
  int (*ensure)(void);
  void (*release)(int);
  void *(*of_u32)(unsigned long);
  void *(*of_u64)(unsigned long long);
  unsigned long long (*to_u64)(void *);
  void *(*call)(void *, void *const *, size_t, void *);
  void (*decref)(void *);
  void (*clear)(void);
  void *(*trap)(const char *, size_t);
} Api;
