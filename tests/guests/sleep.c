/* Waits for ever. */
#include "kit.h"

DEVICES();

int run(void) {
    print("sleeping\n");
    for (;;) sleep_for(NEVER);
}
