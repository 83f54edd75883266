/* mmap is emulated by the C library: the file is copied with fd_pread. What is written into a MAP_SHARED mapping never
   reaches the file, and munmap makes no call. Compile it with --emulate mman; without, the error names the flag.
   It prints what the mapping holds after a write, and what the file holds. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    char file[6] = {0};
    int fd = open("/data/a.txt", O_RDWR);
    char *mapped = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || mapped == MAP_FAILED) { perror("mmap"); return 1; }
    mapped[0] = 'J';
    pread(fd, file, 5, 0);
    printf("mapped %.5s, file %s\n", mapped, file);
    munmap(mapped, 5);
    return 0;
}
