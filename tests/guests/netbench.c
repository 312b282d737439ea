/* Moves frames over service0, all of the experimental EtherType 0x88b5: op=echo sends each back to its sender, op=sink
   counts them, op=blast broadcasts its own; frames=N (100000), size=N bytes (1514). */
#include "kit.h"

DEVICES(NET("service0"));

static uint8_t frame[16384];

static bool is_ours(size_t size) {
    return size >= 14 && frame[12] == 0x88 && frame[13] == 0xb5;
}

static void blast(unsigned handle, uint64_t frames, size_t size) {
    fill_pattern(frame, size, 1);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, device_of(handle)->net.mac, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (uint64_t i = 0; i < frames; i++) {
        for (unsigned byte = 0; byte < 8; byte++) frame[14 + byte] = (uint8_t)(i >> (56 - 8 * byte));
        check(net_write(handle, frame, size) == OK);
    }
}

/* The time starts with the first frame. */
static uint64_t receive(unsigned handle, uint64_t frames, bool echo, uint64_t *start) {
    const size_t room = device_of(handle)->net.mtu + 14u;
    uint64_t count = 0, bytes = 0;
    while (count < frames) {
        uint64_t ready;
        size_t size;
        poll_devices(NEVER, &ready);
        while (count < frames && net_read(handle, frame, room, &size) == OK) {
            if (!is_ours(size)) continue;
            if (count++ == 0) *start = monotonic();
            bytes += size;
            if (!echo) continue;
            memcpy(frame, frame + 6, 6);
            memcpy(frame + 6, device_of(handle)->net.mac, 6);
            check(net_write(handle, frame, size) == OK);
        }
    }
    return bytes;
}

int run(void) {
    const unsigned handle = device_named("service0", DEVICE_NET);
    const uint64_t frames = option("frames", 100000), size = option("size", 1514);
    check(size >= 22 && size <= device_of(handle)->net.mtu + 14u && size <= sizeof frame);
    print("ready\n");
    uint64_t start = monotonic(), bytes = frames * size;
    if (option_is("op", "blast")) blast(handle, frames, size);
    else bytes = receive(handle, frames, !option_is("op", "sink"), &start);
    const uint64_t passed = monotonic() - start;
    print("%lu frames, %lu bytes in %lu ns, %lu MB/s\n", frames, bytes, passed, passed ? bytes * 1000 / passed : 0);
    return success();
}
