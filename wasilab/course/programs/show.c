// show PATH...: prints each file, as cat does.
#include <stdio.h>

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        if (!file) {
            perror(argv[i]);
            failed++;
            continue;
        }
        for (int c; (c = getc(file)) != EOF;)
            putchar(c);
        fclose(file);
    }
    return failed;
}
