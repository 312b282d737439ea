/* Ends with the status given: status=N (0). */
#include "kit.h"

DEVICES();

int run(void) {
    const int status = (int)option("status", 0);
    print("exit %d\n", status);
    return status;
}
