// A compiler for money, after Hardy's confused deputy (1988). `deputy FROM TO` "compiles" FROM into TO, the file that
// the user names, and notes one more use in the bill, `books/bill`, which only the compiler may write.
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: deputy FROM TO\n");
        return 2;
    }
    FILE *from = fopen(argv[1], "r"), *to = from ? fopen(argv[2], "w") : NULL;
    if (!to) {
        perror(from ? argv[2] : argv[1]);
        return 1;
    }
    int c, n = 0;
    while ((c = fgetc(from)) != EOF)
        n += c == '\n';
    fprintf(to, "compiled %d lines\n", n);
    fclose(to);
    fclose(from);
    FILE *bill = fopen("books/bill", "a");
    if (!bill) {
        perror("books/bill");
        return 1;
    }
    fputs("one more use\n", bill);
    fclose(bill);
    return 0;
}
