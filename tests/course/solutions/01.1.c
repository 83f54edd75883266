#include <stdio.h>
#include <wasi/api.h>

int main(void) {
    __wasi_prestat_t found;
    __wasi_errno_t error;
    for (__wasi_fd_t fd = 3; (error = __wasi_fd_prestat_get(fd, &found)) == 0; fd++) {
        char name[256];
        size_t length = found.u.dir.pr_name_len;
        if (length > sizeof name || __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, length) != 0)
            return 1;
        printf("%.*s\n", (int)length, name);
    }
    return 0;
}
