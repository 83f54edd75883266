// The same compiler, mended: FROM and TO are names in the folder `user`, opened through that folder's own
// descriptor. openat ignores the descriptor for a path from the root (POSIX), so such a path is refused.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: deputy_at FROM TO\n");
        return 2;
    }
    if (argv[1][0] == '/' || argv[2][0] == '/') {
        fprintf(stderr, "deputy_at: give names in the folder of the user, not paths from the root\n");
        return 2;
    }
    int user = open("user", O_RDONLY | O_DIRECTORY);
    int in = openat(user, argv[1], O_RDONLY);
    int out = in < 0 ? -1 : openat(user, argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (out < 0) {
        perror(in < 0 ? argv[1] : argv[2]);
        return 1;
    }
    char c;
    int lines = 0;
    while (read(in, &c, 1) == 1)
        lines += c == '\n';
    dprintf(out, "compiled %d lines\n", lines);
    FILE *bill = fopen("books/bill", "a");
    if (!bill) {
        perror("books/bill");
        return 1;
    }
    fputs("one more use\n", bill);
    fclose(bill);
    return 0;
}
