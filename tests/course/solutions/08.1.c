#define EXPORT(name) __attribute__((export_name(#name))) name

static int sum, largest;

int EXPORT(add)(int by) {
    sum += by;
    if (sum > largest)
        largest = sum;
    return sum;
}

int EXPORT(most)(void) {
    return largest;
}
