/* Like net, for 10.0.0.2 on service0 and 10.1.0.2 on service1; the limit is for both together. Options: limit=N, ip0=,
   ip1=. */
#include "echo.h"

DEVICES(NET("service0"), NET("service1"));

int run(void) {
    struct host hosts[] = {host_on("service0", 10, 0, 0, 2, "ip0"), host_on("service1", 10, 1, 0, 2, "ip1")};
    echo_serve(hosts, 2, option("limit", flag("limit") ? 100000 : NEVER));
    print("%lu and %lu replies\n", hosts[0].replies, hosts[1].replies);
    return success();
}
