// Finds the secret of the module `vault` by asking how long each answer takes. For every place it tries all letters
// several times, and keeps the letter with the longest of the shortest times.
#include <stdio.h>
#include <time.h>

__attribute__((import_module("vault"), import_name("check"))) int check(long long guess);

static long long time_of(long long guess) {
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    check(guess);
    clock_gettime(CLOCK_MONOTONIC, &after);
    return (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
}

int main(void) {
    long long known = 0;
    for (int place = 0; place < 4; place++) {
        long long longest = -1, best = 0;
        for (long long letter = 'a'; letter <= 'z'; letter++) {
            long long guess = known | letter << (8 * place), shortest = time_of(guess);
            for (int again = 0; again < 4; again++) {
                long long now = time_of(guess);
                if (now < shortest)
                    shortest = now;
            }
            printf("%c%lld ", (char)letter, shortest);
            if (shortest > longest) {
                longest = shortest;
                best = letter;
            }
        }
        printf("\n");
        known |= best << (8 * place);
    }
    printf("%.4s: %s\n", (const char *)&known, check(known) ? "that is the secret" : "wrong");
    return 0;
}
