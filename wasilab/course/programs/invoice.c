// invoice ORDER: reads the prices in `shop/prices.txt` and the order in `orders/ORDER`, writes `bills/ORDER`, and
// appends a line to `log/invoices.log` if there is such a folder. An order of lines "NAME COUNT"; "RUSH" asks for a date.
#include <stdio.h>
#include <string.h>
#include <time.h>

static int price_of(const char *name) {
    FILE *prices = fopen("shop/prices.txt", "r");
    if (!prices) {
        perror("shop/prices.txt");
        return -1;
    }
    char known[32];
    int price, found = 0;
    while (fscanf(prices, "%31s %d", known, &price) == 2)
        if (strcmp(known, name) == 0)
            found = price;
    fclose(prices);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: invoice ORDER\n");
        return 2;
    }
    char path[128], name[32];
    snprintf(path, sizeof path, "orders/%s", argv[1]);
    FILE *order = fopen(path, "r");
    if (!order) {
        perror(path);
        return 1;
    }
    int count, total = 0, rush = 0;
    while (fscanf(order, "%31s", name) == 1) {
        if (strcmp(name, "RUSH") == 0) {
            rush = 1;
            continue;
        }
        if (fscanf(order, "%d", &count) != 1)
            break;
        int price = price_of(name);
        if (price < 0)
            return 1;
        total += price * count;
    }
    fclose(order);
    snprintf(path, sizeof path, "bills/%s", argv[1]);
    FILE *bill = fopen(path, "w");
    if (!bill) {
        perror(path);
        return 1;
    }
    fprintf(bill, "total %d\n", total);
    if (rush)
        fprintf(bill, "promised by %lld\n", (long long)time(NULL) + 86400);
    fclose(bill);
    FILE *log = fopen("log/invoices.log", "a");
    if (log) {
        fprintf(log, "%s %d\n", argv[1], total);
        fclose(log);
    }
    printf("%s: %d\n", argv[1], total);
    return 0;
}
