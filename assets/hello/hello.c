/* A Solo5 unikernel of a few kilobytes that greets. */
#include "guest.h"

DEVICES();

/* 64 is MirageOS's status for arguments a unikernel doesn't accept. */
enum { EXIT_OK = 0, EXIT_ARGUMENT = 64 };

static const char usage[] =
    "Usage: hello [--hello=TEXT] [--name=NAME] [--help]\n"
    "\n"
    "Prints a greeting, then its name, its memory and its arguments.\n"
    "\n"
    "  --hello=TEXT  the greeting (default: Hello from robur!)\n"
    "  --name=NAME   the name of this unikernel (default: hello)\n"
    "  --help        print this text\n";

static const char *greeting = "Hello from robur!", *name = "hello";

/* The words of the command line, each with its NUL. One space or more lies between two words, so they fit where
   the longest command line fits. */
static char words[8192];
static size_t words_used;

enum word { WORD, NO_WORD, UNFINISHED };

/* Splits like MirageOS: spaces separate, a backslash makes the next character ordinary, double quotes protect
   spaces, empty words vanish. */
static enum word next_word(const char **at, const char **word) {
    bool quoted = false;
    size_t start = words_used;
    for (;; (*at)++) {
        char c = **at;
        if (c == '\0' || words_used == sizeof words - 1) {
            if (c != '\0' || quoted) return UNFINISHED;
            if (words_used == start) return NO_WORD;
            break;
        }
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == ' ' && !quoted) {
            if (words_used == start) continue;
            break;
        }
        if (c == '\\' && (c = *++*at) == '\0') return UNFINISHED;
        words[words_used++] = c;
    }
    words[words_used++] = '\0';
    *word = words + start;
    return WORD;
}

/* Returns the exit status, or -1 to go on and greet. */
static int read_arguments(const char *cmdline) {
    const char *word;
    for (;;) {
        switch (next_word(&cmdline, &word)) {
        case NO_WORD: return -1;
        case UNFINISHED:
            print("hello: the arguments end inside quotes or after a backslash, or are too long\n");
            return EXIT_ARGUMENT;
        case WORD: break;
        }
        const char *text = after(word, "--hello="), *given_name = after(word, "--name=");
        if (text) {
            greeting = text;
        } else if (given_name) {
            /* The last one wins: an orchestrator puts its own in front of the user's. */
            name = given_name;
        } else if (same(word, "--help") || same(word, "--help=plain")) {
            print("%s", usage);
            return EXIT_OK;
        } else {
            print("hello: unknown argument %s\n", word);
            print("Try --help\n");
            return EXIT_ARGUMENT;
        }
    }
}

int guest_main(void) {
    enum log_level level;
    const char *arguments = skip_log_level(guest.cmdline, &level);
    if (level >= LOG_INFO) print("robur hello on %s, ABI version %u\n", TARGET_NAME, ABI_VERSION);

    int status = read_arguments(arguments);
    if (status >= 0) return status;
    print("%s\n", greeting);
    print("name: %s\n", name);
    print("memory: %lu MiB\n", guest.memory >> 20);
    print("arguments: %s\n", *arguments ? arguments : "none");
    return EXIT_OK;
}
