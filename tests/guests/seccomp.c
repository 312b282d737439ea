/* Makes any system call: nr=N (32, dup) a0= … a5= (1, then 0); with the word int80 through the 32-bit entry. Prints what
   it returned. */
#include "kit.h"

DEVICES();

/* Same calls, other numbers, and another architecture to a filter. */
static long syscall_32bit(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

int run(void) {
    const long number = (long)option("nr", 32);
    const long a = (long)option("a0", 1), b = (long)option("a1", 0), c = (long)option("a2", 0);
    print("system call %ld\n", number);
    const long result = flag("int80") ? syscall_32bit(number, a, b, c)
                                      : syscall6(number, a, b, c, (long)option("a3", 0), (long)option("a4", 0),
                                                 (long)option("a5", 0));
    print("returned %ld\n", result);
    return 0;
}
