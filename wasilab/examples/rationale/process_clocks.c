/* A program has no process, and so no time of a process: clock is emulated by the C library with the monotonic clock, and
   counts the time in which the program waits as well. Compile it with --emulate process-clocks; without, the error names
   the flag. */
#include <stdio.h>
#include <time.h>

int main(void) {
    clock_t before = clock();
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
    printf("waiting counted: %s\n", clock() > before ? "yes" : "no");
    return 0;
}
