// Counts the lines of stdin, and waits a millisecond after each block: a slow reader.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    char block[4096];
    long lines = 0;
    ssize_t n;
    struct timespec pause = {0, 1000000};
    while ((n = read(0, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            lines += block[i] == '\n';
        nanosleep(&pause, NULL);
    }
    printf("%ld lines\n", lines);
    return 0;
}
