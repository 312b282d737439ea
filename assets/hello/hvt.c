/* Start, console and end of an hvt guest on x86_64. */
#include "guest.h"

struct guest guest;

/* See guest.ld. */
static const char interp[] __attribute__((section(".interp"), used)) = "/nonexistent/solo5/";

/* Entered as if called: the stack is aligned and the boot info's address is the first argument. */
_Noreturn void _start(const struct hvt_boot *boot) {
    guest.memory = boot->memory;
    guest.cmdline = (const char *)(uintptr_t)boot->cmdline;
    guest.manifest = (const struct manifest *)(uintptr_t)boot->manifest;
    guest.boot = boot;
    halt(guest_main());
}

void console_write(const char *data, size_t size) {
    struct hvt_puts puts = {(uintptr_t)data, size};
    hypercall(HVT_PUTS, &puts);
}

_Noreturn void halt(int status) {
    print_flush();
    struct hvt_halt end = {0, status};
    for (;;) hypercall(HVT_HALT, &end);
}
