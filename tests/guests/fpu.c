/* Multiplies four floats with one SSE instruction. */
#include "kit.h"

DEVICES();

/* The bits of 1.5, 2, -3, 0.25 and of what each is by 2. */
static const uint32_t factors[4] = {0x3fc00000, 0x40000000, 0xc0400000, 0x3e800000};
static const uint32_t twos[4] = {0x40000000, 0x40000000, 0x40000000, 0x40000000};
static const uint32_t expected[4] = {0x40400000, 0x40800000, 0xc0c00000, 0x3f000000};

int run(void) {
    uint32_t product[4];
    /* No register is declared as changed: gcc is told not to use any of these. */
    __asm__ volatile("movups (%0), %%xmm0\n\t"
                     "movups (%1), %%xmm1\n\t"
                     "mulps %%xmm1, %%xmm0\n\t"
                     "movups %%xmm0, (%2)"
                     :
                     : "r"(factors), "r"(twos), "r"(product)
                     : "memory");
    for (unsigned i = 0; i < 4; i++) check(product[i] == expected[i]);
    return success();
}
