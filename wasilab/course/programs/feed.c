// feed LINES: writes numbered lines to stdout, as fast as it can.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int lines = argc > 1 ? atoi(argv[1]) : 1000;
    for (int i = 1; i <= lines; i++)
        if (printf("line %d of the feed\n", i) < 0)
            return 1;
    return 0;
}
