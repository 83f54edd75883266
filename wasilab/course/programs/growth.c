// growth MIB: takes memory a MiB at a time, uses it, and prints how far it came.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int wanted = argc > 1 ? atoi(argv[1]) : 8, got = 0;
    unsigned sum = 0;
    for (; got < wanted; got++) {
        unsigned char *more = malloc(1 << 20);
        if (!more)
            break;
        memset(more, got, 1 << 20);
        sum += more[(got * 4099) & 0xfffff];
    }
    printf("%d of %d MiB (sum %u)\n", got, wanted, sum);
    return got == wanted ? 0 : 3;
}
