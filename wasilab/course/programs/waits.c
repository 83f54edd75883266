// Waits 20 milliseconds in one of two ways: `waits spin` asks for the time until they are over, `waits poll` asks once
// to be woken.
#include <poll.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
    const long long nanoseconds = 20000000;
    if (argc > 1 && strcmp(argv[1], "poll") == 0) {
        struct timespec time = {0, nanoseconds};
        return nanosleep(&time, NULL);
    }
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000LL + now.tv_nsec - start.tv_nsec < nanoseconds);
    return 0;
}
