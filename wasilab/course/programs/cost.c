// Forty bytes, written in one of three ways: `cost buffered`, `cost unbuffered` or `cost raw`.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "buffered";
    if (strcmp(how, "raw") == 0) {
        for (int i = 0; i < 40; i++)
            write(1, "x", 1);
        return 0;
    }
    if (strcmp(how, "unbuffered") == 0)
        setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < 40; i++)
        putchar('x');
    return 0;
}
