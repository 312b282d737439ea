/* Writes more than 4 KiB to the console in one piece. Lines are numbered, so that a lost one shows. */
#include "kit.h"

DEVICES();

int run(void) {
    static char text[128 * 64];
    for (unsigned line = 0; line < 128; line++) {
        char *at = text + line * 64;
        for (unsigned i = 0; i < 63; i++) at[i] = (char)('!' + (line + i) % 94);
        at[0] = (char)('0' + line / 100);
        at[1] = (char)('0' + line / 10 % 10);
        at[2] = (char)('0' + line % 10);
        at[63] = '\n';
    }
    console_write(text, sizeof text);
    return success();
}
