/* Writes to a constant. */
#include "kit.h"

DEVICES();

static const char constant[] = "constant";

int run(void) {
    *address((uintptr_t)constant) = 'C';
    return survived("wrote to .rodata");
}
