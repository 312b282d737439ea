/* Ends without a word: an exception that nothing handles. On spt the option how=ud is an invalid instruction instead
   of a bad address. */
#include "kit.h"

DEVICES();

int run(void) {
#ifdef TARGET_SPT
    if (!option_is("how", "ud")) *address(0) = 1;
#else
    traps_forget();
#endif
    __asm__ volatile("ud2");
    return survived("executed an invalid instruction");
}
