/* Time and set-up of a virtio guest: TSC, timer chip and real-time clock of a PC. */
#include "kit-virtio.h"

enum { MSR_FS_BASE = 0xc0000100 };
enum { PIT_HZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PORT_B = 0x61, RTC_INDEX = 0x70, RTC_DATA = 0x71 };

/* See guest.ld. */
extern const uint8_t note_manifest[];

static struct {
    uint32_t version, count;
    struct device devices[MANIFEST_MAX];
} manifest;

static uint64_t tick, start;

/* Lets the timer chip count for 10 ms. */
static uint64_t measure_tsc(void) {
    const uint16_t count = PIT_HZ / 100;
    out8(PORT_B, (uint8_t)((in8(PORT_B) & ~2) | 1));
    out8(PIT_COMMAND, 0xb0);
    out8(PIT_CHANNEL2, (uint8_t)count);
    out8(PIT_CHANNEL2, (uint8_t)(count >> 8));
    const uint64_t before = rdtsc();
    while (!(in8(PORT_B) & 0x20)) {}
    return (rdtsc() - before) * PIT_HZ / count;
}

void kit_init(void) {
    traps_init();
    tick = (SECOND << 32) / measure_tsc();
    start = rdtsc();
    /* Behind owner, padding and so on, as in abi.h. */
    memcpy(&manifest, note_manifest + 24, 8);
    check(manifest.count <= MANIFEST_MAX);
    memcpy(manifest.devices, note_manifest + 32, manifest.count * sizeof(struct device));
    virtio_init(manifest.devices, manifest.count);
    guest.manifest = (const struct manifest *)&manifest;
}

uint64_t monotonic(void) {
    return (uint64_t)((unsigned __int128)(rdtsc() - start) * tick >> 32);
}

static unsigned rtc(uint8_t index) {
    out8(RTC_INDEX, index);
    const unsigned value = in8(RTC_DATA);
    return (value >> 4) * 10 + (value & 15);
}

/* Read once, as the clock of this century; from then on the TSC tells. */
static uint64_t boot_time(void) {
    unsigned second, minute, hour, day, month, year;
    do {
        second = rtc(0), minute = rtc(2), hour = rtc(4), day = rtc(7), month = rtc(8), year = 2000 + rtc(9);
    } while (second != rtc(0));
    static const uint16_t days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const bool leap_day_passed = year % 4 == 0 && month > 2;
    const uint64_t days = (year - 1970) * 365 + (year - 1969) / 4 + days_before[(month - 1) % 12] + leap_day_passed + day - 1;
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND;
}

uint64_t walltime(void) {
    static uint64_t offset;
    if (offset == 0) offset = boot_time() - monotonic();
    return offset + monotonic();
}

unsigned poll_devices(uint64_t timeout, uint64_t *ready) {
    const uint64_t from = monotonic();
    for (;;) {
        unsigned count = 0;
        *ready = 0;
        for (unsigned handle = 1; handle < manifest.count; handle++) {
            if (manifest.devices[handle].type != DEVICE_NET || !virtio_net_ready(handle)) continue;
            *ready |= 1ull << handle;
            count++;
        }
        if (count > 0 || monotonic() - from >= timeout) return count;
        __asm__ volatile("pause");
    }
}

_Noreturn void halt_trapped(const struct trap_cookie *cookie) {
    (void)cookie;
    halt(255);
}

void set_fs_base(const void *base) {
    const uint64_t value = (uintptr_t)base;
    __asm__ volatile("wrmsr" : : "c"(MSR_FS_BASE), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}
