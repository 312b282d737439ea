/* Succeeds if the command line is exactly Hello_Solo5. */
#include "kit.h"

DEVICES();

int run(void) {
    print("command line: %s\n", guest.cmdline);
    return same(guest.cmdline, "Hello_Solo5") ? success() : survived("another command line");
}
