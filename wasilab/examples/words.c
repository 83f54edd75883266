// words FILE: count the lines, words and bytes of a file.

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: words FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    long lines = 0, words = 0, bytes = 0;
    bool inside = false;
    for (int c; (c = getc(file)) != EOF;) {
        bytes++;
        lines += c == '\n';
        bool space = isspace(c);
        words += !space && !inside;
        inside = !space;
    }
    if (ferror(file)) {
        perror(argv[1]);
        return 1;
    }
    fclose(file);
    printf("%s: %ld lines, %ld words, %ld bytes\n", argv[1], lines, words, bytes);
    return 0;
}
