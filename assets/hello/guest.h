/* What the start-up code of every target offers to the guest's own code. */
#ifndef ROBUR_GUEST_H
#define ROBUR_GUEST_H

#include "abi.h"

/* Set before guest_main runs. */
struct guest {
    uint64_t memory;     /* bytes */
    const char *cmdline; /* as received, at most 8191 bytes */
    const struct manifest *manifest;
    const void *boot; /* the target's boot info */
};
extern struct guest guest;

/* The guest itself. Its result is the exit status. */
int guest_main(void);

void console_write(const char *data, size_t size);
_Noreturn void halt(int status);

/* Console output, one write for each line. The formats are %s %c %d %u %x %ld %lu %lx, with a width that pads
   numbers with zeros: %02x. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
void print_char(char c);
void print_flush(void);

/* Log level from the leading --solo5: words of a command line. */
enum log_level { LOG_QUIET, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The command line behind leading spaces and log level words. */
const char *skip_log_level(const char *cmdline, enum log_level *level);

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
bool same(const char *a, const char *b);
/* What follows the prefix in text, or NULL. */
const char *after(const char *text, const char *prefix);

#ifdef TARGET_HVT
/* Only the low 32 bits of the address travel; a guest has at most 4 GiB. */
static inline void hypercall(enum hvt_call call, const volatile void *argument) {
    __asm__ volatile("outl %0, %1"
                     :
                     : "a"((uint32_t)(uintptr_t)argument), "d"((uint16_t)(HVT_PORT + call))
                     : "memory");
}
#endif

#ifdef TARGET_SPT
/* A Linux system call; the result is negative on failure. */
static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#endif

#ifdef TARGET_VIRTIO
static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
#endif

#endif
