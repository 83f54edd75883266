// Sends back on descriptor 3 what comes in on it, in capitals, until the other end is closed.
#include <ctype.h>
#include <unistd.h>

int main(void) {
    char text[256];
    ssize_t n;
    while ((n = read(3, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        write(3, text, (size_t)n);
    }
    return 0;
}
