/* Writes to its own code. */
#include "kit.h"

DEVICES();

int run(void) {
    *address((uintptr_t)success) = 0xcc;
    return survived("wrote to .text");
}
