/* Two blocks of thread-local storage, switched between. */
#include "kit.h"

DEVICES();

static _Thread_local uint64_t initialised = 0x5eed5eed5eed5eed;
static _Thread_local uint64_t zeroed;

extern const char tdata_start[], tdata_end[], tbss_end[];

/* A block ends at the thread pointer, where its own address stands. */
struct block {
    uint8_t data[256];
    void *self;
} __attribute__((aligned(64)));
static struct block blocks[2];

static void make(struct block *block) {
    const size_t size = (size_t)(tbss_end - tdata_start), from_file = (size_t)(tdata_end - tdata_start);
    check(size > 0 && size <= sizeof block->data);
    /* The linker counts offsets back from the thread pointer in multiples of the alignment, here 8. */
    memcpy((uint8_t *)&block->self - (size + 7) / 8 * 8, tdata_start, from_file);
    block->self = &block->self;
}

static void use(struct block *block) {
    set_fs_base(&block->self);
}

static void set(uint64_t a, uint64_t b) {
    initialised = a;
    zeroed = b;
    __asm__ volatile("" : : : "memory");
}

static bool is(uint64_t a, uint64_t b) {
    __asm__ volatile("" : : : "memory");
    return initialised == a && zeroed == b;
}

int run(void) {
    make(&blocks[0]);
    make(&blocks[1]);
    use(&blocks[0]);
    check(is(0x5eed5eed5eed5eed, 0));
    set(1, 2);
    use(&blocks[1]);
    check(is(0x5eed5eed5eed5eed, 0));
    set(3, 4);
    use(&blocks[0]);
    check(is(1, 2));
    check((uint8_t *)&zeroed < (uint8_t *)&blocks[0].self && (uint8_t *)&zeroed >= blocks[0].data);
    use(&blocks[1]);
    check(is(3, 4));
    return success();
}
