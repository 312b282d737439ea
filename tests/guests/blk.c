/* Writes and reads every tenth sector and the last one of storage; what isn't one sector inside is refused. */
#include "kit.h"

DEVICES(BLOCK("storage"));

static uint8_t written[32768 * 2], read[32768 * 2];

static void round_trip(unsigned handle, uint64_t offset, size_t sector) {
    fill_pattern(written, sector, offset);
    check(block_write(handle, offset, written, sector) == OK);
    memset(read, 0xee, sector + 1);
    check(block_read(handle, offset, read, sector) == OK);
    check(same_bytes(written, read, sector));
    check(read[sector] == 0xee);
}

static void refused(unsigned handle, uint64_t offset, size_t size) {
    check(block_write(handle, offset, written, size) == EINVAL);
    check(block_read(handle, offset, read, size) == EINVAL);
}

int run(void) {
    const unsigned handle = device_named("storage", DEVICE_BLOCK);
    const uint64_t capacity = device_of(handle)->block.capacity;
    const size_t sector = device_of(handle)->block.sector;
    print("storage: %lu bytes, sectors of %lu\n", capacity, sector);
    check(sector >= 512 && sector <= 32768 && capacity >= sector && capacity % sector == 0);

    uint64_t count = 0;
    for (uint64_t offset = 0; offset < capacity; offset += 10 * sector, count++) round_trip(handle, offset, sector);
    round_trip(handle, capacity - sector, sector);
    /* All of them once more, since a wrong offset may have overwritten another sector. */
    for (uint64_t offset = 0; offset < capacity; offset += 10 * sector) {
        if (offset == capacity - sector) continue;
        fill_pattern(written, sector, offset);
        check(block_read(handle, offset, read, sector) == OK);
        check(same_bytes(written, read, sector));
    }
    print("%lu sectors written and read\n", count + 1);

    refused(handle, capacity, sector);
    refused(handle, capacity + sector, sector);
    refused(handle, UINT64_MAX - sector + 1, sector);
    refused(handle, 0, 0);
    refused(handle, 0, sector - 1);
    refused(handle, 0, sector + 1);
    refused(handle, 0, sector * 2);
    refused(handle, 1, sector);
    refused(handle, sector / 2, sector);
    refused(handle, capacity - sector / 2, sector);
    return success();
}
