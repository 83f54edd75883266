// Ten ways to reach a file outside of the granted folder `box`. Each prints one line. Every way fails when the host
// does its work; the exit status is the number of ways that led out.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int way, found;

static void report(const char *attempt, int fd) {
    char text[32] = "";
    int error = errno;
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strncmp(text, "secret", 6) == 0)
        found++;
    text[strcspn(text, "\n")] = '\0';
    printf("%2d  %-44s %s\n", ++way, attempt, fd < 0 ? strerror(error) : *text ? text : "opened");
    if (fd >= 0)
        close(fd);
}

static int follow(const char *target, const char *link, const char *path) {
    unlink(link);
    if (symlink(target, link) != 0)
        return -1;
    return open(path, O_RDONLY);
}

int main(void) {
    int box = open("box", O_RDONLY | O_DIRECTORY);
    report("the absolute path /secret.txt", open("/secret.txt", O_RDONLY));
    report("up from the box: box/../secret.txt", open("box/../secret.txt", O_RDONLY));
    report("up from deeper: box/a/../../secret.txt", open("box/a/../../secret.txt", O_RDONLY));
    report("up from its descriptor: ../secret.txt", openat(box, "../secret.txt", O_RDONLY));
    report("a link of my own to ../secret.txt", follow("../secret.txt", "box/link", "box/link"));
    report("a link of my own to .., then down", follow("..", "box/up", "box/up/secret.txt"));
    report("a link to a link", follow("link", "box/second", "box/second"));
    report("an absolute path through a descriptor", openat(box, "/secret.txt", O_RDONLY));
    report("a descriptor that nobody gave me: 7", openat(7, "secret.txt", O_RDONLY));
    rename("box/link", "box/plain.txt");
    report("my link, renamed to look like a file", open("box/plain.txt", O_RDONLY));
    return found;
}
