/* Executes a constant. */
#include "kit.h"

DEVICES();

static const uint8_t ret_instruction[] = {0xc3};

int run(void) {
    ((void (*)(void))(uintptr_t)address((uintptr_t)ret_instruction))();
    return survived("executed .rodata");
}
