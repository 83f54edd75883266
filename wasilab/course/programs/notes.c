// notes TEXT: reads the number in `data/count`, adds one, appends TEXT to `data/notes.txt`, and stores the number again.
// It checks some of its calls and forgets others.
#include <stdio.h>

int main(int argc, char **argv) {
    int count = 0;
    FILE *stored = fopen("data/count", "r");
    if (stored) {
        if (fscanf(stored, "%d", &count) != 1)
            count = 0;
        fclose(stored);
    }
    FILE *notes = fopen("data/notes.txt", "a");
    if (!notes) {
        perror("data/notes.txt");
        return 1;
    }
    fprintf(notes, "%d %s\n", count + 1, argc > 1 ? argv[1] : "");
    fclose(notes);
    stored = fopen("data/count", "w");
    if (!stored) {
        perror("data/count");
        return 1;
    }
    fprintf(stored, "%d\n", count + 1);
    fclose(stored);
    printf("%d notes\n", count + 1);
    return 0;
}
