/* Uses its block device, or another descriptor, in a way that the filter must judge: op=write|pwrite|pread|read,
   fd=N (of storage), off=N (0), len=N (one sector). Prints what the call returned. */
#include "kit.h"

DEVICES(BLOCK("storage"));

enum { SYS_READ = 0, SYS_WRITE = 1, SYS_PREAD64 = 17, SYS_PWRITE64 = 18 };

static uint8_t buffer[65536];

int run(void) {
    const struct device *device = device_of(device_named("storage", DEVICE_BLOCK));
    const long fd = (long)option("fd", (uint64_t)device->host.fd);
    const long size = (long)option("len", device->block.sector), offset = (long)option("off", 0);
    long call = SYS_WRITE;
    if (option_is("op", "pwrite")) call = SYS_PWRITE64;
    if (option_is("op", "pread")) call = SYS_PREAD64;
    if (option_is("op", "read")) call = SYS_READ;
    print("system call %ld on descriptor %ld, size %ld, offset %ld\n", call, fd, size, offset);
    const long result = syscall6(call, fd, (long)buffer, size, offset, 0, 0);
    print("returned %ld\n", result);
    return 0;
}
