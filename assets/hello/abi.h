/* What a Solo5 guest and the program that runs it agree on: ABI note, manifest, boot info and hypercalls.
   The build chooses the target with -DTARGET_HVT, -DTARGET_SPT or -DTARGET_VIRTIO. */
#ifndef ROBUR_GUEST_ABI_H
#define ROBUR_GUEST_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(TARGET_HVT)
#define TARGET_NAME "hvt"
#define TARGET_ID 1
#define TARGET_ABI 2
#elif defined(TARGET_SPT)
#define TARGET_NAME "spt"
#define TARGET_ID 2
#define TARGET_ABI 2
#elif defined(TARGET_VIRTIO)
#define TARGET_NAME "virtio"
#define TARGET_ID 3
#define TARGET_ABI 1
#else
#error "no target chosen"
#endif

#ifndef ABI_TARGET
#define ABI_TARGET TARGET_ID
#endif
#ifndef ABI_VERSION
#define ABI_VERSION TARGET_ABI
#endif

/* Result codes of every device call. */
enum result { OK = 0, AGAIN = 1, EINVAL = 2, EUNSPEC = 3 };

/* ELF notes. Owner and type identify one; each lies in a PT_NOTE of its own. */
struct note {
    uint32_t owner_size, content_size, type;
    char owner[8];
};

#define NOTE_ABI 0x31494241u      /* "ABI1" */
#define NOTE_MANIFEST 0x3154464du /* "MFT1" */

struct abi_note {
    struct note note;
    uint32_t target, version, reserved[2];
};
_Static_assert(sizeof(struct abi_note) == 36, "layout of the ABI note");

/* Manifest: the devices a guest declares. The handle of a device is its index in the table, and index 0 is
   reserved. The image carries names and types, whoever runs it fills in the rest. */
#define MANIFEST_VERSION 1
#define MANIFEST_MAX 64

enum device_type { DEVICE_BLOCK = 1, DEVICE_NET = 2, DEVICE_RESERVED = 0x40000000 };

struct device {
    char name[68];
    uint32_t type;
    union {
        struct {
            uint64_t capacity; /* bytes */
            uint16_t sector;   /* bytes */
        } block;
        struct {
            uint8_t mac[6];
            uint16_t mtu; /* without the Ethernet header */
        } net;
    };
    union {
        int32_t fd; /* spt */
        uint64_t unused;
    } host;
    uint8_t attached;
    uint8_t padding[7];
};
_Static_assert(sizeof(struct device) == 104, "layout of a manifest entry");
_Static_assert(offsetof(struct device, block.sector) == 80, "layout of a manifest entry");
_Static_assert(offsetof(struct device, net.mtu) == 78, "layout of a manifest entry");
_Static_assert(offsetof(struct device, host) == 88, "layout of a manifest entry");
_Static_assert(offsetof(struct device, attached) == 96, "layout of a manifest entry");

struct manifest {
    uint32_t version, count;
    struct device devices[];
};

/* States the devices of a guest, once in each guest: DEVICES(NET("service"), BLOCK("data")), or DEVICES().
   The table starts 4 bytes after the note's owner because its own alignment is 8. */
#define BLOCK(n) {.name = n, .type = DEVICE_BLOCK}
#define NET(n) {.name = n, .type = DEVICE_NET}
#define DEVICES(...)                                                                                           \
    enum { device_count = sizeof((struct device[]){{.type = DEVICE_RESERVED} __VA_OPT__(, ) __VA_ARGS__}) /    \
                          sizeof(struct device) };                                                             \
    _Static_assert(device_count <= MANIFEST_MAX, "too many devices");                                          \
    static const struct {                                                                                      \
        struct note note;                                                                                      \
        uint32_t padding, version, count;                                                                      \
        struct device devices[device_count];                                                                   \
    } manifest_note __attribute__((section(".note.solo5.manifest"), aligned(8), used)) = {                     \
        {6, 12 + sizeof(struct device) * device_count, NOTE_MANIFEST, "Solo5"},                                \
        0,                                                                                                     \
        MANIFEST_VERSION,                                                                                      \
        device_count,                                                                                          \
        {{.type = DEVICE_RESERVED} __VA_OPT__(, ) __VA_ARGS__}};                                               \
    static const struct abi_note abi_note __attribute__((section(".note.solo5.abi"), aligned(4), used)) = {    \
        {6, 16, NOTE_ABI, "Solo5"}, ABI_TARGET, ABI_VERSION, {0, 0}}

/* Boot info: the only argument of the entry point. */
struct hvt_boot {
    uint64_t memory;     /* bytes the guest may use; memory starts at 0 */
    uint64_t kernel_end; /* end of the loaded image */
    uint64_t tsc_hz;
    uint64_t cmdline;
    uint64_t manifest;
    uint32_t host_features, guest_features;
    uint64_t net_ring;
};

struct spt_boot {
    uint64_t memory, kernel_end, cmdline, manifest;
    int32_t epoll, timer;
};
_Static_assert(sizeof(struct hvt_boot) == 56 && sizeof(struct spt_boot) == 40, "layout of boot info");

/* Where an spt guest's epoll set reports the timer. Devices report their handle. */
#define SPT_TIMER_EVENT 0xfffffffeu

/* Hypercalls of hvt: a 32-bit write of the argument's address to a port. */
#define HVT_PORT 0x500
enum hvt_call {
    HVT_WALLTIME = 1,
    HVT_PUTS = 2,
    HVT_POLL = 3,
    HVT_BLOCK_WRITE = 4,
    HVT_BLOCK_READ = 5,
    HVT_NET_WRITE = 6,
    HVT_NET_READ = 7,
    HVT_HALT = 8
};

struct hvt_walltime {
    uint64_t nanoseconds;
};

struct hvt_puts {
    uint64_t data, size;
};

struct hvt_poll {
    uint64_t timeout; /* nanoseconds from now */
    uint64_t ready;   /* one bit for each handle */
    int32_t result;   /* number of ready devices */
};

struct hvt_block {
    uint64_t handle, offset, data, size;
    int32_t result;
};

struct hvt_net {
    uint64_t handle, data, size;
    int32_t result;
};

struct hvt_halt {
    uint64_t cookie; /* 0, or the address of 512 bytes that describe a CPU exception */
    int32_t status;
};
_Static_assert(sizeof(struct hvt_poll) == 24 && sizeof(struct hvt_block) == 40, "layout of hypercalls");
_Static_assert(sizeof(struct hvt_net) == 32 && sizeof(struct hvt_halt) == 16, "layout of hypercalls");

#endif
