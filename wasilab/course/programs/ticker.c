// ticker TIMES: opens `in/poem.txt`, reads its first line and closes it, five times a second.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 10;
    struct timespec pause = {0, 200000000};
    char line[80];
    for (int i = 1; i <= times; i++) {
        FILE *poem = fopen("in/poem.txt", "r");
        if (!poem) {
            printf("%d: ", i);
            fflush(stdout);
            perror("in/poem.txt");
        } else {
            printf("%d: %s", i, fgets(line, sizeof line, poem) ? line : "(empty)\n");
            fclose(poem);
        }
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    return 0;
}
