/* Prints the MTU of service0. */
#include "kit.h"

DEVICES(NET("service0"));

int run(void) {
    print("MTU is %u\n", device_of(device_named("service0", DEVICE_NET))->net.mtu);
    return success();
}
