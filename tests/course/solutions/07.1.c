#include <unistd.h>

int main(void) {
    write(1, "Hello\n", 6);
    return 0;
}
