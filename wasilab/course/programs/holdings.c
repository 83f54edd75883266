// What does this program hold? Descriptors count up from 0, and each can be asked what it is. `holdings PATH...` also
// tries to open each PATH and prints the result.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

static const char *kind(__wasi_filetype_t type) {
    switch (type) {
    case __WASI_FILETYPE_DIRECTORY: return "a folder";
    case __WASI_FILETYPE_REGULAR_FILE: return "a file";
    case __WASI_FILETYPE_CHARACTER_DEVICE: return "a terminal";
    case __WASI_FILETYPE_SOCKET_STREAM: return "a socket";
    default: return "a stream";
    }
}

int main(int argc, char **argv) {
    __wasi_fdstat_t stat;
    for (__wasi_fd_t fd = 0; __wasi_fd_fdstat_get(fd, &stat) == 0; fd++) {
        char name[256] = "";
        __wasi_prestat_t preopen;
        if (__wasi_fd_prestat_get(fd, &preopen) == 0 && preopen.u.dir.pr_name_len < sizeof name)
            __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, preopen.u.dir.pr_name_len);
        printf("descriptor %d: %s%s%s\n", (int)fd, kind(stat.fs_filetype), *name ? " named " : "", name);
    }
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        printf("open %s: %s\n", argv[i], fd < 0 ? strerror(errno) : "yes");
        if (fd >= 0)
            close(fd);
    }
    return 0;
}
