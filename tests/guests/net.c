/* Answers ARP, ICMP echo and UDP echo on port 7 for 10.0.0.2/24. Options: limit=N replies (limit alone: 100000), then
   it succeeds; ip=A.B.C.D. */
#include "echo.h"

DEVICES(NET("service0"));

int run(void) {
    struct host host = host_on("service0", 10, 0, 0, 2, "ip");
    echo_serve(&host, 1, option("limit", flag("limit") ? 100000 : NEVER));
    print("%lu replies\n", host.replies);
    return success();
}
