/* The parts of the kit that are the same on every target. */
#include "kit.h"

int guest_main(void) {
    kit_init();
    return run();
}

_Noreturn void abort_guest(void) {
    halt(255);
}

int success(void) {
    print("SUCCESS\n");
    return 0;
}

int survived(const char *what) {
    print("FAILURE: %s\n", what);
    return 2;
}

static bool ends_word(char c) {
    return c == '\0' || c == ' ';
}

/* The next word, or NULL; *at moves behind it. */
static const char *next_word(const char **at) {
    while (**at == ' ') ++*at;
    const char *word = *at;
    while (!ends_word(**at)) ++*at;
    return *at == word ? NULL : word;
}

const char *option_text(const char *key) {
    const char *at = guest.cmdline, *word;
    while ((word = next_word(&at))) {
        const char *value = after(word, key);
        if (value && *value == '=') return value + 1;
    }
    return NULL;
}

bool option_is(const char *key, const char *value) {
    const char *text = option_text(key);
    const char *rest = text ? after(text, value) : NULL;
    return rest && ends_word(*rest);
}

bool flag(const char *wanted) {
    const char *at = guest.cmdline, *word;
    while ((word = next_word(&at))) {
        const char *rest = after(word, wanted);
        if (rest && ends_word(*rest)) return true;
    }
    return false;
}

static const char *parse_digits(const char *text, uint64_t *value) {
    const char *hex = after(text, "0x");
    const unsigned base = hex ? 16 : 10;
    const char *at = hex ? hex : text, *start = at;
    *value = 0;
    for (;; at++) {
        unsigned digit;
        if (*at >= '0' && *at <= '9') digit = (unsigned)(*at - '0');
        else if (*at >= 'a' && *at <= 'f') digit = (unsigned)(*at - 'a') + 10;
        else break;
        if (digit >= base) break;
        *value = *value * base + digit;
    }
    return at == start ? NULL : at;
}

/* Room for any hypercall's structure. */
static const char rodata_anchor[64];
static char data_anchor[64] = "data";

static const char *parse_base(const char *text, uint64_t *value) {
    const struct {
        const char *name;
        uint64_t value;
    } bases[] = {
        {"end", guest.memory},
        {"text", (uintptr_t)parse_digits},
        {"rodata", (uintptr_t)rodata_anchor},
        {"data", (uintptr_t)data_anchor},
    };
    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        const char *rest = after(text, bases[i].name);
        if (rest) {
            *value = bases[i].value;
            return rest;
        }
    }
    *value = 0;
    return text;
}

uint64_t option(const char *key, uint64_t missing) {
    const char *text = option_text(key);
    if (!text) return missing;
    uint64_t value, digits;
    const char *at = parse_base(text, &value);
    while (at && !ends_word(*at)) {
        const bool minus = *at == '-';
        at = parse_digits(at + (*at == '-' || *at == '+'), &digits);
        value = minus ? value - digits : value + digits;
    }
    if (!at) panic("%s= needs a number", key);
    return value;
}

/* xorshift64*, after Marsaglia and Vigna. */
uint64_t random64(uint64_t *state) {
    uint64_t x = *state ? *state : 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint32_t crc32(const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

bool same_bytes(const void *a, const void *b, size_t size) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) return false;
    }
    return true;
}

void fill_pattern(uint8_t *data, size_t size, uint64_t seed) {
    seed = seed * 0x9e3779b97f4a7c15ull + 1;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) random64(&seed);
        data[i] = (uint8_t)(seed >> i % 8 * 8);
    }
}

void sleep_for(uint64_t nanoseconds) {
    const uint64_t start = monotonic();
    uint64_t passed, ready;
    while ((passed = monotonic() - start) < nanoseconds) poll_devices(nanoseconds - passed, &ready);
}

const struct device *device_of(unsigned handle) {
    return &guest.manifest->devices[handle];
}

unsigned device_named(const char *name, enum device_type type) {
    for (unsigned handle = 1; handle < guest.manifest->count; handle++) {
        const struct device *device = device_of(handle);
        if (device->type != type || !same(device->name, name)) continue;
        if (device->attached != 1) panic("%s is not attached", name);
        return handle;
    }
    panic("%s is not in the manifest", name);
}

static bool sector_fits(unsigned handle, uint64_t offset, size_t size) {
    const struct device *device = device_of(handle);
    const uint64_t sector = device->block.sector, capacity = device->block.capacity;
    return size == sector && offset % sector == 0 && offset < capacity && capacity - offset >= size;
}

enum result block_read(unsigned handle, uint64_t offset, void *data, size_t size) {
    if (!sector_fits(handle, offset, size)) return EINVAL;
    return block_transfer(BLOCK_READ, handle, offset, data, size);
}

enum result block_write(unsigned handle, uint64_t offset, const void *data, size_t size) {
    if (!sector_fits(handle, offset, size)) return EINVAL;
    return block_transfer(BLOCK_WRITE, handle, offset, (void *)data, size);
}
