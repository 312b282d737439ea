/* Prints numbered lines as fast as it can, each in one write: lines=N (for ever), width=N characters (80). */
#include "kit.h"

DEVICES();

enum { DIGITS = 10, MAX_WIDTH = 65536 };
static char line[MAX_WIDTH + 1];

/* In place, since division is slow where a host emulates the guest. */
static void count_up(void) {
    for (unsigned i = DIGITS; i-- > 0;) {
        if (line[i]++ < '9') return;
        line[i] = '0';
    }
}

int run(void) {
    const uint64_t lines = option("lines", NEVER), width = option("width", 80);
    check(width >= DIGITS && width <= MAX_WIDTH);
    for (uint64_t i = 0; i < width; i++) line[i] = i < DIGITS ? '0' : (char)('a' + i % 26);
    line[width] = '\n';
    for (uint64_t i = 0; i < lines; i++) {
        console_write(line, width + 1);
        count_up();
    }
    return 0;
}
