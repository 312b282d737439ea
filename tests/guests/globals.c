/* Initialised and zeroed data must be what the image says, and writable. */
#include "kit.h"

DEVICES();

static uint64_t number = 0x0123456789abcdef;
static char text[] = "initialised";
static const char *pointer = text;
static uint64_t zeroed[1024];
static const uint64_t constant = 42;

int run(void) {
    __asm__ volatile("" : : "r"(&number), "r"(text), "r"(&pointer), "r"(zeroed), "r"(&constant) : "memory");
    check(number == 0x0123456789abcdef);
    check(same(pointer, "initialised"));
    check(constant == 42);
    for (unsigned i = 0; i < 1024; i++) check(zeroed[i] == 0);

    number++;
    text[0] = 'I';
    pointer++;
    for (unsigned i = 0; i < 1024; i++) zeroed[i] = i;
    __asm__ volatile("" : : "r"(&number), "r"(text), "r"(&pointer), "r"(zeroed) : "memory");
    check(number == 0x0123456789abcdf0);
    check(text[0] == 'I' && pointer == text + 1);
    for (unsigned i = 0; i < 1024; i++) check(zeroed[i] == i);
    return success();
}
