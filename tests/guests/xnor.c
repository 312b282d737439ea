/* Reads its own code, which an hvt image declares execute-only. */
#include "kit.h"

DEVICES();

int run(void) {
    print("first byte of success: %02x\n", *address((uintptr_t)success));
    return survived("read .text");
}
