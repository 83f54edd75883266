/* What differs between the systems that turbo.c is compiled for: Linux and macOS. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#else
#include <sys/random.h>
#endif

/* The system calls themselves: the C library's functions for them ask for a cancelled thread, twice a call, at 15 ns. */
#ifdef __linux__
#define SYSTEM(name, ...) syscall(SYS_##name, __VA_ARGS__)
#define SYS_read_at SYS_pread64
#define SYS_write_at SYS_pwrite64
#else
#define SYSTEM(name, ...) name(__VA_ARGS__)
#define read_at pread
#define write_at pwrite
#endif

#ifdef __APPLE__
enum { STEADY = CLOCK_UPTIME_RAW }; /* what Python's monotonic and perf_counter read there */
#define TIME(st, which) (st)->st_##which##timespec
#else
enum { STEADY = CLOCK_MONOTONIC };
#define TIME(st, which) (st)->st_##which##tim
#endif

#ifdef __x86_64__
#define ticks() __builtin_ia32_rdtsc() /* of the processor's counter */
#else
#define ticks() 0
#endif

/* At most 256 bytes, which are never cut short. 0: there is no entropy yet, early at the system's start. */
static inline int fill_randomly(void *to, size_t size) {
#ifdef __linux__
  return syscall(SYS_getrandom, to, size, 1) == (long)size; /* 1: GRND_NONBLOCK */
#else
  return !getentropy(to, size);
#endif
}

/* A directory beneath `root`, as capabilities/host/resolve.py opens it: no mount and no magic link on the way. -1: Python
 * walks there. */
static inline int open_beneath(int root, const char *path) {
#ifdef __linux__
  struct { uint64_t flags, mode, resolve; } how = {O_DIRECTORY | O_CLOEXEC | O_PATH, 0, 0x01 | 0x02 | 0x08};
  return (int)syscall(437, root, path, &how, sizeof how); /* openat2; NO_XDEV, NO_MAGICLINKS, BENEATH */
#else
  (void)root, (void)path;
  return -1;
#endif
}
