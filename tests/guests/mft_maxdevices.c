/* All 63 devices a manifest can hold: storage0 … storage62. Each keeps a sector that names it. */
#include "kit.h"

#define FOUR(tens, a, b, c, d)                                                                                 \
    BLOCK("storage" tens a), BLOCK("storage" tens b), BLOCK("storage" tens c), BLOCK("storage" tens d)
#define EIGHT(tens) FOUR(tens, "0", "1", "2", "3"), FOUR(tens, "4", "5", "6", "7")
#define TEN(tens) EIGHT(tens), BLOCK("storage" tens "8"), BLOCK("storage" tens "9")

DEVICES(TEN(""), TEN("1"), TEN("2"), TEN("3"), TEN("4"), TEN("5"), BLOCK("storage60"), BLOCK("storage61"),
        BLOCK("storage62"));

static uint8_t sector[32768];

static unsigned storage(unsigned number) {
    char name[] = "storage\0\0";
    char *at = name + 7;
    if (number >= 10) *at++ = (char)('0' + number / 10);
    *at = (char)('0' + number % 10);
    return device_named(name, DEVICE_BLOCK);
}

int run(void) {
    check(guest.manifest->count == MANIFEST_MAX);
    for (unsigned number = 0; number < MANIFEST_MAX - 1; number++) {
        const unsigned handle = storage(number);
        check(handle == number + 1);
        memset(sector, (int)handle, sizeof sector);
        check(block_write(handle, 0, sector, device_of(handle)->block.sector) == OK);
    }
    for (unsigned number = 0; number < MANIFEST_MAX - 1; number++) {
        const unsigned handle = storage(number), size = device_of(handle)->block.sector;
        check(block_read(handle, 0, sector, size) == OK);
        for (unsigned i = 0; i < size; i++) check(sector[i] == handle);
    }
    return success();
}
