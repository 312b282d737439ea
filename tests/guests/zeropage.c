/* Writes through a null pointer. */
#include "kit.h"

DEVICES();

int run(void) {
    *address(8) = 1;
    return survived("wrote to page 0");
}
