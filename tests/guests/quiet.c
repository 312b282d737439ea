/* Prints its log level in a line with "Solo5:", unless the level is quiet. */
#include "kit.h"

DEVICES();

int run(void) {
    enum log_level level;
    skip_log_level(guest.cmdline, &level);
    if (level != LOG_QUIET) print("Solo5: log level %d\n", level);
    return success();
}
