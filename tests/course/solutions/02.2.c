#include <stdio.h>
#include <unistd.h>

int main(void) {
    if (link("box/../secret.txt", "box/mine.txt") != 0)
        perror("link");
    return 0;
}
