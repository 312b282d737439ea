/* Start, console and end of an spt guest on x86_64. */
#include "guest.h"

enum { SYS_WRITE = 1, SYS_ARCH_PRCTL = 158, SYS_EXIT_GROUP = 231 };
enum { ARCH_SET_FS = 0x1002, STDOUT = 1 };

struct guest guest;

/* See guest.ld. */
static const char interp[] __attribute__((section(".interp"), used)) = "/nonexistent/solo5/";

_Noreturn void _start(const struct spt_boot *boot) {
    /* The thread pointer still belongs to the launcher. */
    syscall6(SYS_ARCH_PRCTL, ARCH_SET_FS, 0, 0, 0, 0, 0);
    guest.memory = boot->memory;
    guest.cmdline = (const char *)(uintptr_t)boot->cmdline;
    guest.manifest = (const struct manifest *)(uintptr_t)boot->manifest;
    guest.boot = boot;
    halt(guest_main());
}

void console_write(const char *data, size_t size) {
    while (size > 0) {
        long written = syscall6(SYS_WRITE, STDOUT, (long)data, (long)size, 0, 0, 0);
        /* A console that takes nothing must not stop the guest. */
        if (written <= 0) return;
        data += written;
        size -= (size_t)written;
    }
}

_Noreturn void halt(int status) {
    print_flush();
    for (;;) syscall6(SYS_EXIT_GROUP, status, 0, 0, 0, 0, 0);
}
