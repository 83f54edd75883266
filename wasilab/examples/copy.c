// copy FROM TO: copy one file to another.

#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s FROM TO\n", argv[0]);
        return 2;
    }

    FILE *from = fopen(argv[1], "rb");
    if (from == NULL) {
        perror(argv[1]);
        return 1;
    }

    FILE *to = fopen(argv[2], "wb");
    if (to == NULL) {
        perror(argv[2]);
        fclose(from);
        return 1;
    }

    char buffer[4096];
    size_t n, total = 0;
    while ((n = fread(buffer, 1, sizeof buffer, from)) > 0) {
        if (fwrite(buffer, 1, n, to) != n) {
            perror(argv[2]);
            return 1;
        }
        total += n;
    }
    if (ferror(from)) {
        perror(argv[1]);
        return 1;
    }
    if (fclose(to) != 0) {
        perror(argv[2]);
        return 1;
    }
    fclose(from);

    printf("copied %zu bytes from %s to %s\n", total, argv[1], argv[2]);
    return 0;
}
