// The same compiler, mended: FROM and TO are names in the folder `user`, and are opened through that folder's own
// descriptor. No name that the user gives can mean a file of the books.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: deputy_at FROM TO\n");
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
