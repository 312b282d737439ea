/* Moves mb=N MiB (64) to or from storage, in order and from the start again at the end: op=read|write (read), len=N
   bytes a call (one sector; spt allows no other). */
#include "kit.h"

DEVICES(BLOCK("storage"));

static uint8_t buffer[1 << 18];

int run(void) {
    const unsigned handle = device_named("storage", DEVICE_BLOCK);
    const struct device *device = device_of(handle);
    const enum block_direction direction = option_is("op", "write") ? BLOCK_WRITE : BLOCK_READ;
    const uint64_t size = option("len", device->block.sector), total = option("mb", 64) << 20;
    check(size > 0 && size <= sizeof buffer && size <= device->block.capacity);
    fill_pattern(buffer, sizeof buffer, 1);

    const uint64_t start = monotonic();
    uint64_t moved = 0, offset = 0;
    for (; moved < total; moved += size, offset += size) {
        if (offset + size > device->block.capacity) offset = 0;
        check(block_transfer(direction, handle, offset, buffer, size) == OK);
    }
    const uint64_t passed = monotonic() - start;
    print("%lu bytes in %lu ns, %lu MB/s\n", moved, passed, passed ? moved * 1000 / passed : 0);
    return success();
}
