/* Reads where gcc keeps the stack protector's value, without thread-local storage. */
#include "kit.h"

DEVICES();

int run(void) {
    uint64_t value;
    __asm__ volatile("mov %%fs:0x28, %0" : "=r"(value));
    return survived("read through a thread pointer of 0");
}
