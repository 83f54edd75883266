// Throws three dice with the host's randomness, and says when.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    unsigned char thrown[3];
    if (getentropy(thrown, sizeof thrown) != 0)
        return 1;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%d %d %d at %lld.%09ld\n", thrown[0] % 6 + 1, thrown[1] % 6 + 1, thrown[2] % 6 + 1, (long long)now.tv_sec,
           now.tv_nsec);
    return 0;
}
