/* Overruns a buffer on the stack. The build puts the stack protector's value in __stack_chk_guard. */
#include "kit.h"

DEVICES();

uintptr_t __stack_chk_guard = 0x00aabbccddeeff01;

_Noreturn void __stack_chk_fail(void) {
    panic("stack smashed");
}

__attribute__((noinline, stack_protect)) static void overrun(size_t size) {
    char buffer[16];
    memset(buffer, 'x', size);
    __asm__ volatile("" : : "r"(buffer) : "memory");
}

int run(void) {
    overrun(option("size", 64));
    return survived("returned over a smashed stack");
}
