/* Aborts. */
#include "kit.h"

DEVICES();

int run(void) {
    panic("as told");
}
