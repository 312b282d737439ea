/* Writes far outside memory. */
#include "kit.h"

DEVICES();

int run(void) {
    *address(option("address", 0x400000000)) = 1;
    return survived("wrote outside memory");
}
