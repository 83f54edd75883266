// Opens `shelf/first`, reads one byte, then opens `shelf/second`, then reads one more byte of the first: what a program
// has opened and what it can open are two questions.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

int main(void) {
    char c;
    int first = open("shelf/first", O_RDONLY);
    printf("open the first: %s\n", first < 0 ? strerror(errno) : "yes");
    if (first < 0)
        return 1;
    printf("read the first: %s\n", read(first, &c, 1) == 1 ? "yes" : strerror(errno));
    int second = open("shelf/second", O_RDONLY);
    printf("open the second: %s\n", second < 0 ? strerror(errno) : "yes");
    printf("read the first again: %s\n", read(first, &c, 1) == 1 ? "yes" : strerror(errno));
    return 0;
}
