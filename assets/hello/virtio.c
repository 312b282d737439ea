/* Start, console and end of a virtio guest: the serial port and QEMU's exit device. */
#include "guest.h"

enum { COM1 = 0x3f8, EXIT_PORT = 0x501, EXIT_VALUE = 41 };
enum { BOOT_MAGIC = 0x2badb002 };
#define MAX_MEMORY (1ull << 30)

struct boot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], map_size, map;
};
enum { HAS_MEMORY = 1 << 0, HAS_CMDLINE = 1 << 2, HAS_MAP = 1 << 6 };

struct memory_range {
    uint32_t size; /* of what follows */
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));
enum { RANGE_RAM = 1 };

struct guest guest;

static void serial_init(void) {
    out8(COM1 + 1, 0);    /* no interrupts */
    out8(COM1 + 3, 0x80); /* divisor */
    out8(COM1 + 0, 1);    /* 115200 baud */
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 0x03); /* 8N1 */
    out8(COM1 + 2, 0x07); /* FIFOs on and empty */
}

/* End of the RAM that holds the guest. */
static uint64_t memory_end(const struct boot_info *info) {
    uint64_t end = info->flags & HAS_MEMORY ? 0x100000 + (uint64_t)info->mem_upper * 1024 : 0;
    for (uint32_t at = 0; info->flags & HAS_MAP && at < info->map_size;) {
        const struct memory_range *range = (const struct memory_range *)(uintptr_t)(info->map + at);
        if (range->type == RANGE_RAM && range->start <= 0x100000 && range->start + range->length > 0x100000)
            end = range->start + range->length;
        at += range->size + sizeof range->size;
    }
    return end < MAX_MEMORY ? end : MAX_MEMORY;
}

/* Called by virtio-boot.S. */
_Noreturn void virtio_start(const struct boot_info *info, uint32_t magic) {
    serial_init();
    if (magic != BOOT_MAGIC) {
        print("ABORT: not started by a Multiboot loader\n");
        halt(255);
    }
    guest.memory = memory_end(info);
    guest.boot = info;
    guest.cmdline = "";
    if (info->flags & HAS_CMDLINE) {
        /* The loader puts the name of the image in front. */
        const char *cmdline = (const char *)(uintptr_t)info->cmdline;
        while (*cmdline && *cmdline != ' ') cmdline++;
        while (*cmdline == ' ') cmdline++;
        guest.cmdline = cmdline;
    }
    halt(guest_main());
}

void console_write(const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        while (!(in8(COM1 + 5) & 0x20)) {}
        out8(COM1, (uint8_t)data[i]);
    }
}

/* The exit status is always 83, because QEMU makes 2n+1 of what is written. */
_Noreturn void halt(int status) {
    (void)status;
    print_flush();
    out16(EXIT_PORT, EXIT_VALUE);
    for (;;) __asm__ volatile("cli; hlt");
}
