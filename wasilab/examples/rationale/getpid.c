/* There are no processes, and so no number of one: the C library's getpid is a constant, and makes no call.
   Compile it with --emulate getpid; without, the error names the flag. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("process %d\n", (int)getpid());
    return 0;
}
