/* One block hypercall as told, without the checks of a guest library: op=read|write (read), handle=N (of storage),
   offset=N (0), len=N (one sector), fill=N (0x5a: the byte written). Prints the result and, of what was read, the
   CRC-32. */
#include "kit.h"

DEVICES(BLOCK("storage"));

static uint8_t buffer[1 << 18];

int run(void) {
    const unsigned storage = device_named("storage", DEVICE_BLOCK);
    const bool write = option_is("op", "write");
    const uint64_t size = option("len", device_of(storage)->block.sector);
    const size_t inside = size < sizeof buffer ? size : sizeof buffer;
    memset(buffer, write ? (int)option("fill", 0x5a) : 0, inside);
    struct hvt_block call = {option("handle", storage), option("offset", 0), (uintptr_t)buffer, size, -1};
    hypercall(write ? HVT_BLOCK_WRITE : HVT_BLOCK_READ, &call);
    print("result %d\n", call.result);
    check(call.size == size);
    if (!write && call.result == OK) print("crc32 %08x\n", crc32(buffer, inside));
    return 0;
}
