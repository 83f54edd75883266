// sweep FOLDER: removes every file in a folder, and prints their names.
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    DIR *folder = opendir(argc > 1 ? argv[1] : ".");
    if (!folder) {
        perror("opendir");
        return 1;
    }
    struct dirent *entry;
    char path[512];
    int failed = 0;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_type != DT_REG)
            continue;
        snprintf(path, sizeof path, "%s/%s", argc > 1 ? argv[1] : ".", entry->d_name);
        int gone = unlink(path) == 0;
        failed += !gone;
        printf("%s %s\n", gone ? "removed" : "could not remove", entry->d_name);
    }
    closedir(folder);
    return failed;
}
