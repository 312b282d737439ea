/* Polls its network devices and prints what is ready: timeout=NS (0), count=N (1), drain (read what is ready between
   two polls). Built with NETS=0, 1 or 2 devices service0, service1 (2). */
#include "kit.h"

#ifndef NETS
#define NETS 2
#endif

#if NETS == 0
DEVICES();
#elif NETS == 1
DEVICES(NET("service0"));
#else
DEVICES(NET("service0"), NET("service1"));
#endif

static uint8_t frame[16384];

static void drain(unsigned handle) {
    unsigned count = 0;
    size_t size;
    while (net_read(handle, frame, device_of(handle)->net.mtu + 14u, &size) == OK) count++;
    print("device %u: %u frames\n", handle, count);
}

int run(void) {
    const uint64_t timeout = option("timeout", 0), count = option("count", 1);
    print("polling\n");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t ready;
        const uint64_t start = monotonic();
        const unsigned devices = poll_devices(timeout, &ready);
        print("devices %u, ready 0x%lx, after %lu ns\n", devices, ready, monotonic() - start);
        for (unsigned handle = 0; handle < 64; handle++) {
            if (!(ready >> handle & 1)) continue;
            check(handle > 0 && handle < guest.manifest->count);
            if (flag("drain")) drain(handle);
        }
    }
    return success();
}
