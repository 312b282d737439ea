/* Time and devices of an hvt guest: hypercalls, and the TSC as the clock. */
#include "kit.h"

enum { MSR_FS_BASE = 0xc0000100 };

/* Nanoseconds for one tick of the TSC, with 32 fractional bits. */
static uint64_t tick;
static uint64_t start;

void kit_init(void) {
    const struct hvt_boot *boot = guest.boot;
    traps_init();
    check(boot->tsc_hz != 0);
    tick = (SECOND << 32) / boot->tsc_hz;
    start = rdtsc();
}

uint64_t monotonic(void) {
    return (uint64_t)((unsigned __int128)(rdtsc() - start) * tick >> 32);
}

uint64_t walltime(void) {
    struct hvt_walltime call = {0};
    hypercall(HVT_WALLTIME, &call);
    return call.nanoseconds;
}

unsigned poll_devices(uint64_t timeout, uint64_t *ready) {
    struct hvt_poll call = {.timeout = timeout};
    hypercall(HVT_POLL, &call);
    *ready = call.ready;
    return (unsigned)call.result;
}

enum result block_transfer(enum block_direction direction, unsigned handle, uint64_t offset, void *data, size_t size) {
    struct hvt_block call = {handle, offset, (uintptr_t)data, size, -1};
    hypercall(direction == BLOCK_READ ? HVT_BLOCK_READ : HVT_BLOCK_WRITE, &call);
    return (enum result)call.result;
}

enum result net_write(unsigned handle, const void *frame, size_t size) {
    struct hvt_net call = {handle, (uintptr_t)frame, size, -1};
    hypercall(HVT_NET_WRITE, &call);
    return (enum result)call.result;
}

enum result net_read(unsigned handle, void *frame, size_t room, size_t *size) {
    struct hvt_net call = {handle, (uintptr_t)frame, room, -1};
    hypercall(HVT_NET_READ, &call);
    *size = call.size;
    return (enum result)call.result;
}

_Noreturn void halt_trapped(const struct trap_cookie *cookie) {
    /* The tender may read 512 bytes from the cookie on. */
    static uint64_t room[512 / sizeof(uint64_t)];
    *(struct trap_cookie *)room = *cookie;
    print_flush();
    struct hvt_halt end = {(uintptr_t)room, 255};
    for (;;) hypercall(HVT_HALT, &end);
}

void set_fs_base(const void *base) {
    const uint64_t value = (uintptr_t)base;
    __asm__ volatile("wrmsr" : : "c"(MSR_FS_BASE), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}
