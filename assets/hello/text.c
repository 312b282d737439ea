/* Text output, words of the command line, and the memory functions gcc expects to exist. */
#include "guest.h"

#include <stdarg.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t size) {
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return start;
}

/* Holds the longest line a command line can cause. */
static char line[8448];
static size_t used;

void print_flush(void) {
    if (used > 0) console_write(line, used);
    used = 0;
}

void print_char(char c) {
    line[used++] = c;
    if (c == '\n' || used == sizeof line) print_flush();
}

static void print_text(const char *text) {
    while (*text) print_char(*text++);
}

static void print_number(uint64_t value, unsigned base, unsigned width) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0 || (count < width && count < sizeof digits));
    while (count > 0) print_char(digits[--count]);
}

void print(const char *format, ...) {
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            print_char(*format);
            continue;
        }
        unsigned width = 0;
        for (format++; *format >= '0' && *format <= '9'; format++) width = width * 10 + (unsigned)(*format - '0');
        bool wide = *format == 'l';
        if (wide) format++;
        switch (*format) {
        case 's': print_text(va_arg(args, const char *)); break;
        case 'c': print_char((char)va_arg(args, int)); break;
        case 'd': {
            int64_t value = wide ? va_arg(args, int64_t) : va_arg(args, int);
            if (value < 0) print_char('-');
            print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width);
            break;
        }
        case 'u': print_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 10, width); break;
        case 'x': print_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16, width); break;
        default: print_char(*format);
        }
    }
    va_end(args);
}

bool same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

const char *after(const char *text, const char *prefix) {
    while (*prefix) {
        if (*text++ != *prefix++) return NULL;
    }
    return text;
}

static const char *skip_space(const char *text) {
    while (*text == ' ' || (*text >= '\t' && *text <= '\r')) text++;
    return text;
}

const char *skip_log_level(const char *cmdline, enum log_level *level) {
    static const char names[][6] = {"quiet", "error", "warn", "info", "debug"};
    *level = LOG_INFO;
    for (;;) {
        cmdline = skip_space(cmdline);
        const char *word = after(cmdline, "--solo5:");
        if (!word) return cmdline;
        const char *end = NULL;
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *rest = after(word, names[i]);
            if (!rest || (*rest != '\0' && rest == skip_space(rest))) continue;
            *level = (enum log_level)i;
            end = rest;
        }
        if (!end) return cmdline;
        cmdline = end;
    }
}
