/* Asks for the wall clock count=N times (100000). */
#include "kit.h"

DEVICES();

int run(void) {
    const uint64_t count = option("count", 100000), start = monotonic();
    for (uint64_t i = 0; i < count; i++) walltime();
    print("%lu calls in %lu ns\n", count, monotonic() - start);
    return success();
}
