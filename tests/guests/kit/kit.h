/* What the test guests share, on top of the start-up code in assets/hello. */
#ifndef ROBUR_GUEST_KIT_H
#define ROBUR_GUEST_KIT_H

#include "guest.h"

#define MICROSECOND 1000ull
#define MILLISECOND 1000000ull
#define SECOND 1000000000ull
#define NEVER UINT64_MAX

/* Each guest's own code. Its result is the exit status. */
int run(void);

/* Prints a line with ABORT and halts with 255. */
_Noreturn void abort_guest(void);
#define panic(...) (print("ABORT: "), print(__VA_ARGS__), print("\n"), abort_guest())
#define check(condition) ((condition) ? (void)0 : panic("check failed: %s", #condition))

/* Prints SUCCESS and returns status 0. */
int success(void);
/* For a guest that was meant to be stopped: prints why it should have been and returns status 2. */
int survived(const char *what);

/* Words of the command line. A number is decimal, hexadecimal with 0x, negative, or one of the addresses end (of
   memory), text, rodata, data, each with +N or -N behind it. Unknown words are ignored. */
uint64_t option(const char *key, uint64_t missing);
const char *option_text(const char *key); /* up to the next space or NUL, or NULL */
bool option_is(const char *key, const char *value);
bool flag(const char *word);

uint64_t random64(uint64_t *state);
uint32_t crc32(const void *data, size_t size);
bool same_bytes(const void *a, const void *b, size_t size);
void fill_pattern(uint8_t *data, size_t size, uint64_t seed);

/* Hides from gcc where an address comes from. */
static inline volatile uint8_t *address(uint64_t value) {
    __asm__("" : "+r"(value));
    return (volatile uint8_t *)value;
}

/* Time. */
uint64_t monotonic(void);
uint64_t walltime(void);
void sleep_for(uint64_t nanoseconds);

/* Devices. Waits until a network device is ready or the time is over; ready gets one bit for each handle. */
unsigned poll_devices(uint64_t timeout, uint64_t *ready);
/* The handle of an attached device. */
unsigned device_named(const char *name, enum device_type type);
const struct device *device_of(unsigned handle);

/* One sector, aligned, inside the device: anything else is EINVAL and reaches nobody. */
enum result block_read(unsigned handle, uint64_t offset, void *data, size_t size);
enum result block_write(unsigned handle, uint64_t offset, const void *data, size_t size);
enum result net_write(unsigned handle, const void *frame, size_t size);
/* AGAIN when no frame waits. */
enum result net_read(unsigned handle, void *frame, size_t room, size_t *size);

/* Without checks: what block_read and block_write end in. */
enum block_direction { BLOCK_READ, BLOCK_WRITE };
enum result block_transfer(enum block_direction direction, unsigned handle, uint64_t offset, void *data, size_t size);

/* Called before run; each target has its own. */
void kit_init(void);

#if defined(TARGET_HVT) || defined(TARGET_VIRTIO)
/* From the first on, a CPU exception ends in a line with ABORT and status 255; after the second it ends in a
   triple fault. */
void traps_init(void);
void traps_forget(void);
/* halt(255) that tells the tender what the CPU did. */
struct trap_cookie {
    uint64_t cr2, error, rip, cs, rflags, rsp, ss;
};
_Noreturn void halt_trapped(const struct trap_cookie *cookie);

static inline uint64_t rdtsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
#endif

/* The thread pointer. */
void set_fs_base(const void *base);

#endif
