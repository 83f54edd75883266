#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3 || strchr(argv[2], '/'))
        return 2;
    int user = open("user", O_RDONLY | O_DIRECTORY);
    int to = user < 0 ? -1 : openat(user, argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (to < 0) {
        perror(argv[2]);
        return 1;
    }
    write(to, "compiled\n", 9);
    close(to);
    FILE *bill = fopen("books/bill", "a");
    if (!bill)
        return 1;
    fputs("one more use\n", bill);
    fclose(bill);
    return 0;
}
