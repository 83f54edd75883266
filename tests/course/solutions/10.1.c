#include <stdio.h>
#include <time.h>

int main(void) {
    struct timespec time = {0, 30000000};
    nanosleep(&time, NULL);
    puts("done");
    return 0;
}
