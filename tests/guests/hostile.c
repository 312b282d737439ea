/* Hypercalls a tender must refuse. It halts with 0 if it is still alive.

   op=raw       nr=N at=ADDR              any hypercall with any argument address
   op=puts      data=ADDR len=N
   op=walltime  at=ADDR                   where the tender is to write the time
   op=poll      at=ADDR timeout=NS
   op=blkwrite  handle=N offset=N data=ADDR len=N
   op=blkread   the same
   op=netwrite  handle=N data=ADDR len=N
   op=netread   the same
   op=halt      cookie=ADDR status=N
   op=port      port=N size=1|2|4 value=N, or in to read
   op=random    seed=N count=N            any of these; the first that isn't refused politely ends the tender
   op=einval    seed=N count=N            only what is answered with EINVAL, and checks that it is

   The argument structure lies on the stack, or at=ADDR with any op; with the word copy it is copied there first and
   back afterwards. Built with WITH_BLOCK and WITH_NET it has the devices storage and service0, in this order; without
   them hypercalls 4 to 7 do not exist. */
#include "kit.h"

#if defined(WITH_BLOCK) && defined(WITH_NET)
DEVICES(BLOCK("storage"), NET("service0"));
#elif defined(WITH_BLOCK)
DEVICES(BLOCK("storage"));
#elif defined(WITH_NET)
DEVICES(NET("service0"));
#else
DEVICES();
#endif

static uint8_t buffer[65536];

static void call_at(enum hvt_call call, void *argument, size_t size) {
    const uint64_t at = option("at", (uintptr_t)argument);
    if (flag("copy")) memcpy((void *)at, argument, size);
    print("hypercall %d at 0x%lx\n", call, at);
    hypercall(call, (const void *)at);
    if (flag("copy")) memcpy(argument, (const void *)at, size);
}

static void report(int result) {
    print("result %d\n", result);
}

static void block_call(enum hvt_call number) {
    struct hvt_block call = {option("handle", 1), option("offset", 0), option("data", (uintptr_t)buffer),
                             option("len", 512), -1};
    call_at(number, &call, sizeof call);
    report(call.result);
}

static void net_call(enum hvt_call number) {
    struct hvt_net call = {option("handle", device_count - 1), option("data", (uintptr_t)buffer), option("len", 64), -1};
    call_at(number, &call, sizeof call);
    report(call.result);
}

static void port_access(uint16_t port, unsigned size, uint32_t value, bool in) {
    if (in) {
        switch (size) {
        case 1: __asm__ volatile("inb %1, %b0" : "=a"(value) : "d"(port)); break;
        case 2: __asm__ volatile("inw %1, %w0" : "=a"(value) : "d"(port)); break;
        default: __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
        }
        return;
    }
    switch (size) {
    case 1: __asm__ volatile("outb %b0, %1" : : "a"(value), "d"(port) : "memory"); break;
    case 2: __asm__ volatile("outw %w0, %1" : : "a"(value), "d"(port) : "memory"); break;
    default: __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port) : "memory");
    }
}

/* Numbers that have broken bounds checks: around 0, memory's end, 2^31, 2^32, 2^63 and 2^64. */
static uint64_t nasty(uint64_t *state) {
    static const uint64_t corners[] = {0,          1,          0xfff,       0x1000,      0x7fffffff, 0x80000000,
                                       0xffffffff, 1ull << 32, 1ull << 52,  1ull << 53,  INT64_MAX,  1ull << 63,
                                       UINT64_MAX, 0x10000,    0x100000 - 1, 0x100000000 - 16};
    const uint64_t pick = random64(state) >> 32;
    const uint64_t near = (random64(state) >> 32) % 64;
    switch (pick % 4) {
    case 0: return guest.memory - near + 8;
    case 1: return corners[(pick >> 8) % (sizeof corners / sizeof corners[0])] - near % 4;
    case 2: return random64(state);
    default: return random64(state) % guest.memory;
    }
}

static bool exists(enum hvt_call call) {
#ifndef WITH_BLOCK
    if (call == HVT_BLOCK_READ || call == HVT_BLOCK_WRITE) return false;
#endif
#ifndef WITH_NET
    if (call == HVT_NET_READ || call == HVT_NET_WRITE) return false;
#endif
    return call != HVT_HALT;
}

static void random_call(uint64_t *state) {
    enum hvt_call number;
    do {
        number = 1 + (enum hvt_call)((random64(state) >> 32) % HVT_HALT);
    } while (!exists(number));
    union {
        uint64_t words[5];
        struct hvt_block block;
    } argument;
    for (unsigned i = 0; i < 5; i++) argument.words[i] = nasty(state);
    if (random64(state) >> 63) argument.words[0] = 1;
    /* A poll's first word is its timeout. */
    if (number == HVT_POLL) argument.words[0] %= MILLISECOND;
    const uint64_t at = random64(state) >> 62 ? (uintptr_t)&argument : nasty(state);
    /* The line before the call is the last one if the tender ends. */
    print("hypercall %d at 0x%lx: 0x%lx 0x%lx 0x%lx 0x%lx\n", number, at, argument.words[0], argument.words[1],
          argument.words[2], argument.words[3]);
    hypercall(number, (const void *)at);
}

static uint64_t unknown_handle(uint64_t *state) {
    for (;;) {
        const uint64_t handle = random64(state) >> 63 ? nasty(state) : (random64(state) >> 32) % 128;
        if (handle == 0 || handle >= device_count) return handle;
    }
}

static void block_einval(uint64_t *state) {
    const uint64_t capacity = device_of(1)->block.capacity;
    struct hvt_block call = {1, 0, nasty(state), 512, -1};
    switch ((random64(state) >> 32) % 4) {
    case 0: call.handle = unknown_handle(state); break;
    case 1: call.offset = capacity + random64(state) % (UINT64_MAX - capacity); break;
    case 2: call.size = (1ull << 63) + (random64(state) >> 1); break;
    default:
        call.offset = random64(state) % capacity;
        call.size = capacity - call.offset + 1 + (random64(state) >> 32);
    }
    const struct hvt_block before = call;
    hypercall(random64(state) >> 63 ? HVT_BLOCK_READ : HVT_BLOCK_WRITE, &call);
    if (call.result != EINVAL)
        panic("handle 0x%lx offset 0x%lx size 0x%lx: result %d", call.handle, call.offset, call.size, call.result);
    check(same_bytes(&before, &call, offsetof(struct hvt_block, result)));
}

static void net_einval(uint64_t *state) {
    struct hvt_net call = {unknown_handle(state), nasty(state), nasty(state), -1};
    hypercall(random64(state) >> 63 ? HVT_NET_READ : HVT_NET_WRITE, &call);
    if (call.result != EINVAL) panic("handle 0x%lx: result %d", call.handle, call.result);
}

static void einval(uint64_t seed, uint64_t count) {
    const bool block = exists(HVT_BLOCK_READ), net = exists(HVT_NET_READ);
    check(block || net);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t ready;
        if (block && (!net || i % 2)) block_einval(&seed);
        else net_einval(&seed);
        if (i % 64 == 0) check(walltime() != 0);
        if (i % 64 == 32) poll_devices(0, &ready);
    }
    print("%lu calls, all refused\n", count);
}

int run(void) {
    uint64_t seed = option("seed", 1);
    const uint64_t count = option("count", 1000);
    if (option_is("op", "raw")) {
        call_at((enum hvt_call)option("nr", 0), buffer, 0);
    } else if (option_is("op", "puts")) {
        struct hvt_puts call = {option("data", (uintptr_t)buffer), option("len", 1)};
        call_at(HVT_PUTS, &call, sizeof call);
    } else if (option_is("op", "walltime")) {
        struct hvt_walltime call = {0};
        call_at(HVT_WALLTIME, &call, sizeof call);
    } else if (option_is("op", "poll")) {
        struct hvt_poll call = {option("timeout", 0), 0, -1};
        call_at(HVT_POLL, &call, sizeof call);
        report(call.result);
    } else if (option_is("op", "blkwrite")) {
        block_call(HVT_BLOCK_WRITE);
    } else if (option_is("op", "blkread")) {
        block_call(HVT_BLOCK_READ);
    } else if (option_is("op", "netwrite")) {
        net_call(HVT_NET_WRITE);
    } else if (option_is("op", "netread")) {
        net_call(HVT_NET_READ);
    } else if (option_is("op", "halt")) {
        struct hvt_halt call = {option("cookie", 0), (int32_t)option("status", 0)};
        call_at(HVT_HALT, &call, sizeof call);
    } else if (option_is("op", "port")) {
        print("port access\n");
        port_access((uint16_t)option("port", HVT_PORT), (unsigned)option("size", 4),
                    (uint32_t)option("value", (uintptr_t)buffer), flag("in"));
    } else if (option_is("op", "random")) {
        for (uint64_t i = 0; i < count; i++) random_call(&seed);
    } else if (option_is("op", "einval")) {
        einval(seed, count);
    } else {
        panic("unknown op");
    }
    print("still alive\n");
    return 0;
}
