/* The clocks move, a past deadline doesn't wait, a second lasts a second. Option: sleeps=N (5). */
#include "kit.h"

DEVICES();

/* 2017-01-01 in UTC. */
#define EARLIEST (1483228800 * SECOND)

static bool near(uint64_t nanoseconds, uint64_t wanted) {
    return nanoseconds >= wanted * 8 / 10 && nanoseconds <= wanted * 12 / 10;
}

int run(void) {
    uint64_t ready;
    const uint64_t first = monotonic();
    while (monotonic() == first) {}
    check(monotonic() > first);

    const uint64_t before = monotonic();
    poll_devices(0, &ready);
    print("no wait: %lu ns\n", monotonic() - before);
    check(monotonic() - before < SECOND / 5);

    for (uint64_t i = 0; i < option("sleeps", 5); i++) {
        const uint64_t start = monotonic(), wall = walltime();
        poll_devices(SECOND, &ready);
        const uint64_t slept = monotonic() - start, wall_slept = walltime() - wall;
        print("slept %lu ns, by the wall clock %lu ns\n", slept, wall_slept);
        check(near(slept, SECOND));
    }

    print("wall clock: %lu ns\n", walltime());
    check(walltime() >= EARLIEST);
    return success();
}
