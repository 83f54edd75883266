/* Signals are emulated by the C library, inside the program: raise calls the handler like any function, and no call to the
   host is made. Nobody outside can send one. SIGABRT without a handler ends the program with a trap.
   Compile it with --emulate signal; without, the error names the flag. */
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t heard;

static void hear(int number) { heard = number; }

int main(int argc, char **argv) {
    (void)argv;
    signal(SIGINT, hear);
    raise(SIGINT);
    printf("heard signal %d\n", (int)heard);
    fflush(stdout);
    if (argc > 1) raise(SIGABRT);
    return 0;
}
