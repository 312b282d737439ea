/* CPU exceptions of hvt and virtio guests: one line with ABORT, then status 255. */
#include "kit.h"

enum { VECTORS = 32, CODE = 0x08, TSS = 0x18, IST = 1, GATE = 0x8e };

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));

struct table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* What the CPU pushes. */
struct interrupt_frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

static struct gate idt[VECTORS];
static struct tss tss;
/* Null, code, data, and the TSS in two entries. */
static uint64_t gdt[5] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
/* A stack of its own, since the guest's may be what broke. */
static uint8_t stack[8192] __attribute__((aligned(16)));

static const char *name_of(unsigned vector) {
    switch (vector) {
    case 0: return "divide error";
    case 1: return "debug";
    case 3: return "breakpoint";
    case 6: return "invalid opcode";
    case 8: return "double fault";
    case 12: return "stack fault";
    case 13: return "general protection";
    case 14: return "page fault";
    default: return "other";
    }
}

static _Noreturn void trapped(unsigned vector, const struct interrupt_frame *frame, uint64_t error) {
    uint64_t cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    print_flush();
    print("ABORT: exception %u (%s) at rip 0x%lx, error 0x%lx, cr2 0x%lx, rsp 0x%lx\n", vector, name_of(vector),
          frame->rip, error, cr2, frame->rsp);
    const struct trap_cookie cookie = {cr2, error, frame->rip, frame->cs, frame->rflags, frame->rsp, frame->ss};
    halt_trapped(&cookie);
}

#define PLAIN(n)                                                                                               \
    __attribute__((interrupt)) static void trap##n(struct interrupt_frame *frame) { trapped(n, frame, 0); }
#define WITH_ERROR(n)                                                                                          \
    __attribute__((interrupt)) static void trap##n(struct interrupt_frame *frame, uint64_t error) {            \
        trapped(n, frame, error);                                                                              \
    }
PLAIN(0) PLAIN(1) PLAIN(2) PLAIN(3) PLAIN(4) PLAIN(5) PLAIN(6) PLAIN(7)
WITH_ERROR(8) PLAIN(9) WITH_ERROR(10) WITH_ERROR(11) WITH_ERROR(12) WITH_ERROR(13) WITH_ERROR(14) PLAIN(15)
PLAIN(16) WITH_ERROR(17) PLAIN(18) PLAIN(19) PLAIN(20) WITH_ERROR(21)

static void set_gate(unsigned vector, const void *handler) {
    const uint64_t offset = (uintptr_t)handler;
    idt[vector] = (struct gate){(uint16_t)offset, CODE, IST, GATE, (uint16_t)(offset >> 16), (uint32_t)(offset >> 32), 0};
}

static void load_idt(const void *base, size_t size) {
    const struct table pointer = {(uint16_t)(size - 1), (uintptr_t)base};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void traps_init(void) {
    const void *const handlers[] = {trap0,  trap1,  trap2,  trap3,  trap4,  trap5,  trap6,  trap7,
                                    trap8,  trap9,  trap10, trap11, trap12, trap13, trap14, trap15,
                                    trap16, trap17, trap18, trap19, trap20, trap21};
    for (unsigned i = 0; i < sizeof handlers / sizeof handlers[0]; i++) set_gate(i, handlers[i]);

    tss.ist[IST - 1] = (uintptr_t)(stack + sizeof stack);
    tss.iomap = sizeof tss;
    /* Present, available 64-bit TSS. */
    const uint64_t base = (uintptr_t)&tss;
    gdt[3] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;

    const struct table pointer = {sizeof gdt - 1, (uintptr_t)gdt};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("ltr %w0" : : "r"(TSS));
    load_idt(idt, sizeof idt);
}

void traps_forget(void) {
    /* The limit wraps to 0xffff for size 0, so one byte it is: too little for any gate. */
    load_idt(idt, 1);
}
