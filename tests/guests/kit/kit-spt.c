/* Time and devices of an spt guest: Linux system calls on descriptors it was given. */
#include "kit.h"

enum {
    SYS_READ = 0,
    SYS_WRITE = 1,
    SYS_PREAD64 = 17,
    SYS_PWRITE64 = 18,
    SYS_ARCH_PRCTL = 158,
    SYS_CLOCK_GETTIME = 228,
    SYS_EPOLL_PWAIT = 281,
    SYS_TIMERFD_SETTIME = 286
};
enum { ARCH_SET_FS = 0x1002, CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, TIMER_ABSTIME = 1, LINUX_EAGAIN = 11 };

struct timespec {
    int64_t seconds, nanoseconds;
};

struct epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

void kit_init(void) {}

static uint64_t clock(long id) {
    struct timespec time;
    if (syscall6(SYS_CLOCK_GETTIME, id, (long)&time, 0, 0, 0, 0) != 0) panic("clock %ld", id);
    return (uint64_t)time.seconds * SECOND + (uint64_t)time.nanoseconds;
}

uint64_t monotonic(void) {
    return clock(CLOCK_MONOTONIC);
}

uint64_t walltime(void) {
    return clock(CLOCK_REALTIME);
}

unsigned poll_devices(uint64_t timeout, uint64_t *ready) {
    const struct spt_boot *boot = guest.boot;
    const uint64_t now = monotonic(), deadline = now + timeout < now ? NEVER : now + timeout;
    /* Never both zero: that would disarm the timer. */
    const struct timespec timer[2] = {{0, 0}, {(int64_t)(deadline / SECOND), (int64_t)(deadline % SECOND | 1)}};
    check(syscall6(SYS_TIMERFD_SETTIME, boot->timer, TIMER_ABSTIME, (long)timer, 0, 0, 0) == 0);

    static struct epoll_event events[MANIFEST_MAX];
    const long count = syscall6(SYS_EPOLL_PWAIT, boot->epoll, (long)events, MANIFEST_MAX, -1, 0, 0);
    unsigned devices = 0;
    *ready = 0;
    for (long i = 0; i < count; i++) {
        if (events[i].data == SPT_TIMER_EVENT) continue;
        *ready |= 1ull << events[i].data;
        devices++;
    }
    return devices;
}

enum result block_transfer(enum block_direction direction, unsigned handle, uint64_t offset, void *data, size_t size) {
    const long call = direction == BLOCK_READ ? SYS_PREAD64 : SYS_PWRITE64;
    const long moved = syscall6(call, device_of(handle)->host.fd, (long)data, (long)size, (long)offset, 0, 0);
    return moved == (long)size ? OK : EUNSPEC;
}

enum result net_write(unsigned handle, const void *frame, size_t size) {
    const long moved = syscall6(SYS_WRITE, device_of(handle)->host.fd, (long)frame, (long)size, 0, 0, 0);
    return moved == (long)size ? OK : EUNSPEC;
}

enum result net_read(unsigned handle, void *frame, size_t room, size_t *size) {
    const long moved = syscall6(SYS_READ, device_of(handle)->host.fd, (long)frame, (long)room, 0, 0, 0);
    if (moved == 0 || moved == -LINUX_EAGAIN) return AGAIN;
    if (moved < 0) return EUNSPEC;
    *size = (size_t)moved;
    return OK;
}

void set_fs_base(const void *base) {
    check(syscall6(SYS_ARCH_PRCTL, ARCH_SET_FS, (long)base, 0, 0, 0, 0) == 0);
}
