/* Prints a numbered line again and again: every=MS (1000), count=N (for ever). */
#include "kit.h"

DEVICES();

int run(void) {
    const uint64_t every = option("every", 1000) * MILLISECOND, count = option("count", NEVER);
    for (uint64_t i = 1;; i++) {
        print("tick %lu\n", i);
        if (i >= count) return success();
        sleep_for(every);
    }
}
