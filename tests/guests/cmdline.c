/* Prints size, CRC-32 and last 16 bytes of the command line; what isn't printable ASCII as \xNN. */
#include "kit.h"

DEVICES();

int run(void) {
    size_t size = 0;
    while (guest.cmdline[size]) size++;
    print("size %lu crc32 %08x last ", size, crc32(guest.cmdline, size));
    for (size_t i = size > 16 ? size - 16 : 0; i < size; i++) {
        const uint8_t c = (uint8_t)guest.cmdline[i];
        if (c >= ' ' && c <= '~' && c != '\\') print_char((char)c);
        else print("\\x%02x", c);
    }
    print("\n");
    return 0;
}
