/* Aborts with a known word in each register and a page of known text in memory. With the word trap, by a CPU
   exception: then the cookie tells rip and the like, and the other registers are the exception handler's. */
#include "kit.h"

DEVICES();

static char page[4096] __attribute__((aligned(4096)));

int run(void) {
    static const char text[16] = "robur core page\n";
    for (unsigned i = 0; i < sizeof page; i++) page[i] = text[i % sizeof text];
    print("page at 0x%lx\n", (uint64_t)(uintptr_t)page);
    print("ABORT: as told\n");
    const bool trap = flag("trap");
    static struct hvt_halt end = {0, 255};
    /* Tested first, since the words replace it; mov leaves the flag alone. */
    __asm__ volatile("test %2, %2\n\t"
                     "mov $0xb0b0b0b0b0b0b0b0, %%rbx\n\t"
                     "mov $0xc0c0c0c0c0c0c0c0, %%rcx\n\t"
                     "mov $0x5151515151515151, %%rsi\n\t"
                     "mov $0xd1d1d1d1d1d1d1d1, %%rdi\n\t"
                     "mov $0xb9b9b9b9b9b9b9b9, %%rbp\n\t"
                     "mov $0x0808080808080808, %%r8\n\t"
                     "mov $0x0909090909090909, %%r9\n\t"
                     "mov $0x1010101010101010, %%r10\n\t"
                     "mov $0x1111111111111111, %%r11\n\t"
                     "mov $0x1212121212121212, %%r12\n\t"
                     "mov $0x1313131313131313, %%r13\n\t"
                     "mov $0x1414141414141414, %%r14\n\t"
                     "mov $0x1515151515151515, %%r15\n\t"
                     "jz 1f\n\t"
                     "ud2\n\t"
                     "1: outl %%eax, %%dx\n\t"
                     "2: jmp 2b"
                     :
                     : "a"((uint32_t)(uintptr_t)&end), "d"(HVT_PORT + HVT_HALT), "r"((uint32_t)trap)
                     : "memory");
    __builtin_unreachable();
}
