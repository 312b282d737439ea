/* Preloaded into a job that is built again, to find out whether its result depends on the day or on the order in which
 * a file system lists its files. With VARY_TIME the wall clock is 398 days and some hours ahead; times of files stay
 * what they are, and so does the clock of what fetches sources: certificates would have expired, and what can't be
 * fetched is no result. With VARY_FILE_ORDER directories are listed backwards. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#ifdef VARY_TIME
#define AHEAD ((time_t)398 * 86400 + 7 * 3600 + 13 * 60)

static const char *const fetching[] = {
    "curl", "wget", "git", "git-remote-http", "git-remote-https", "ssh", "hg", "darcs", "opam", "orb", "robur",
    "apt", "apt-get", "http", "https", "gpgv",
};

/* How far the clock of this program is ahead. */
static time_t ahead(void)
{
    static volatile time_t known = -1;
    if (known == -1) {
        time_t found = AHEAD;
        for (size_t i = 0; i < sizeof fetching / sizeof *fetching; i++)
            if (strcmp(program_invocation_short_name, fetching[i]) == 0)
                found = 0;
        known = found;
    }
    return known;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead();
    return status;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
        return (time_t)-1;
    if (where)
        *where = exact.tv_sec;
    return exact.tv_sec;
}
#endif

#ifdef VARY_FILE_ORDER
/* What is left of a directory's entries, the last one first. */
struct listing {
    DIR *directory;
    struct dirent **entries;
    size_t left;
    size_t count;
    struct listing *next;
};

static struct listing *listings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void forget(DIR *directory)
{
    pthread_mutex_lock(&lock);
    for (struct listing **at = &listings; *at; at = &(*at)->next) {
        struct listing *found = *at;
        if (found->directory != directory)
            continue;
        *at = found->next;
        for (size_t i = 0; i < found->count; i++)
            free(found->entries[i]);
        free(found->entries);
        free(found);
        break;
    }
    pthread_mutex_unlock(&lock);
}

static struct listing *list(DIR *directory)
{
    struct dirent *(*real)(DIR *) = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir64");
    struct listing *made = calloc(1, sizeof *made);
    size_t room = 0;
    if (!made)
        return NULL;
    made->directory = directory;
    for (struct dirent *entry; (entry = real(directory));) {
        if (made->count == room) {
            room = room ? room * 2 : 64;
            void *grown = realloc(made->entries, room * sizeof *made->entries);
            if (!grown)
                break;
            made->entries = grown;
        }
        struct dirent *copy = malloc(entry->d_reclen);
        if (!copy)
            break;
        memcpy(copy, entry, entry->d_reclen);
        made->entries[made->count++] = copy;
    }
    made->left = made->count;
    made->next = listings;
    listings = made;
    return made;
}

/* On 64-bit systems both names mean the same structure. */
struct dirent *readdir(DIR *directory)
{
    pthread_mutex_lock(&lock);
    struct listing *found = listings;
    while (found && found->directory != directory)
        found = found->next;
    if (!found)
        found = list(directory);
    struct dirent *entry = found && found->left ? found->entries[--found->left] : NULL;
    pthread_mutex_unlock(&lock);
    return entry;
}

struct dirent64 *readdir64(DIR *directory)
{
    return (struct dirent64 *)readdir(directory);
}

void rewinddir(DIR *directory)
{
    void (*real)(DIR *) = (void (*)(DIR *))dlsym(RTLD_NEXT, "rewinddir");
    forget(directory);
    real(directory);
}

int closedir(DIR *directory)
{
    int (*real)(DIR *) = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
    forget(directory);
    return real(directory);
}
#endif
