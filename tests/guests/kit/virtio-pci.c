/* Block and network devices of a virtio guest: legacy virtio over PCI, without interrupts (Virtio 1.2, the legacy
   interface sections). */
#include "kit-virtio.h"

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_SUBSYSTEM = 0x2c };
enum { VIRTIO_VENDOR = 0x1af4, SUBSYSTEM_NET = 1, SUBSYSTEM_BLOCK = 2, PCI_IO_AND_MASTER = 5 };
/* Registers behind BAR 0. */
enum {
    REG_DEVICE_FEATURES = 0,
    REG_GUEST_FEATURES = 4,
    REG_QUEUE_PAGE = 8,
    REG_QUEUE_SIZE = 12,
    REG_QUEUE_SELECT = 14,
    REG_QUEUE_NOTIFY = 16,
    REG_STATUS = 18,
    REG_CONFIG = 20
};
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4 };
enum { FEATURE_NET_MTU = 1 << 3, FEATURE_NET_MAC = 1 << 5 };
enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_DEVICE_WRITES = 2 };
enum { MAX_QUEUE = 256, MAX_SLOTS = 8, RECEIVE_BUFFERS = 16, BUFFER = 10240, NET_HEADER = 10, SECTOR = 512 };
enum { QUEUE_RECEIVE = 0, QUEUE_SEND = 1, QUEUE_BLOCK = 0 };

struct descriptor {
    uint64_t address;
    uint32_t size;
    uint16_t flags, next;
};

struct used {
    uint32_t id, size;
};

/* A queue's three tables; the last one starts in a page of its own. */
struct queue {
    uint8_t memory[3 * 4096] __attribute__((aligned(4096)));
    uint16_t io, index, size, seen;
};

struct slot {
    uint16_t io;
    struct queue queues[2];
    uint8_t buffers[RECEIVE_BUFFERS][BUFFER];
    uint8_t send[BUFFER];
};
static struct slot slots[MAX_SLOTS];
static struct slot *slot_of[MANIFEST_MAX];

static void out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint32_t in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static uint16_t in16(uint16_t port) {
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static uint32_t pci_read(unsigned device, unsigned reg) {
    out32(PCI_ADDRESS, 0x80000000u | device << 11 | reg);
    return in32(PCI_DATA);
}

static void pci_write(unsigned device, unsigned reg, uint32_t value) {
    out32(PCI_ADDRESS, 0x80000000u | device << 11 | reg);
    out32(PCI_DATA, value);
}

static struct descriptor *descriptors(struct queue *queue) {
    return (struct descriptor *)queue->memory;
}

/* Flags, index, then the ring. */
static volatile uint16_t *available(struct queue *queue) {
    return (volatile uint16_t *)(queue->memory + sizeof(struct descriptor) * queue->size);
}

static volatile uint16_t *used_index(struct queue *queue) {
    const size_t before = sizeof(struct descriptor) * queue->size + 2 * (3u + queue->size);
    return (volatile uint16_t *)(queue->memory + (before + 4095) / 4096 * 4096 + 2);
}

static volatile struct used *used_ring(struct queue *queue) {
    return (volatile struct used *)(used_index(queue) + 1);
}

static void queue_init(struct queue *queue, uint16_t io, uint16_t index) {
    queue->io = io;
    queue->index = index;
    out16(io + REG_QUEUE_SELECT, index);
    queue->size = in16(io + REG_QUEUE_SIZE);
    check(queue->size > 0 && queue->size <= MAX_QUEUE);
    out32(io + REG_QUEUE_PAGE, (uint32_t)((uintptr_t)queue->memory / 4096));
}

/* Gives the device the chain that starts at a descriptor. */
static void offer(struct queue *queue, uint16_t first) {
    volatile uint16_t *ring = available(queue);
    ring[2 + ring[1] % queue->size] = first;
    __sync_synchronize();
    ring[1]++;
    __sync_synchronize();
    out16(queue->io + REG_QUEUE_NOTIFY, queue->index);
}

static bool has_used(struct queue *queue) {
    return *used_index(queue) != queue->seen;
}

static struct used take_used(struct queue *queue) {
    __sync_synchronize();
    volatile struct used *entry = &used_ring(queue)[queue->seen++ % queue->size];
    return (struct used){entry->id, entry->size};
}

static void wait_used(struct queue *queue) {
    while (!has_used(queue)) __asm__ volatile("pause");
    take_used(queue);
}

static void block_init(struct slot *slot, struct device *device) {
    out32(slot->io + REG_GUEST_FEATURES, 0);
    queue_init(&slot->queues[QUEUE_BLOCK], slot->io, QUEUE_BLOCK);
    device->block.capacity = (in32(slot->io + REG_CONFIG) | (uint64_t)in32(slot->io + REG_CONFIG + 4) << 32) * SECTOR;
    device->block.sector = SECTOR;
}

static void net_init(struct slot *slot, struct device *device) {
    const uint32_t features = in32(slot->io + REG_DEVICE_FEATURES) & (FEATURE_NET_MAC | FEATURE_NET_MTU);
    check(features & FEATURE_NET_MAC);
    out32(slot->io + REG_GUEST_FEATURES, features);
    for (unsigned i = 0; i < 6; i++) device->net.mac[i] = in8((uint16_t)(slot->io + REG_CONFIG + i));
    device->net.mtu = features & FEATURE_NET_MTU ? in16(slot->io + REG_CONFIG + 10) : 1500;
    queue_init(&slot->queues[QUEUE_SEND], slot->io, QUEUE_SEND);
    struct queue *receive = &slot->queues[QUEUE_RECEIVE];
    queue_init(receive, slot->io, QUEUE_RECEIVE);
    for (uint16_t i = 0; i < RECEIVE_BUFFERS; i++)
        descriptors(receive)[i] = (struct descriptor){(uintptr_t)slot->buffers[i], BUFFER, DESCRIPTOR_DEVICE_WRITES, 0};
}

void virtio_init(struct device *devices, unsigned count) {
    unsigned handle = 1;
    for (unsigned pci = 0; pci < 32; pci++) {
        if ((pci_read(pci, PCI_ID) & 0xffff) != VIRTIO_VENDOR) continue;
        const unsigned kind = pci_read(pci, PCI_SUBSYSTEM) >> 16;
        if (kind != SUBSYSTEM_NET && kind != SUBSYSTEM_BLOCK) continue;
        if (handle == count || handle > MAX_SLOTS) panic("PCI has more devices than the manifest");
        struct device *device = &devices[handle];
        if (device->type != (kind == SUBSYSTEM_NET ? DEVICE_NET : DEVICE_BLOCK))
            panic("PCI device %u is not what the manifest says of %s", pci, device->name);

        struct slot *slot = slot_of[handle] = &slots[handle - 1];
        pci_write(pci, PCI_COMMAND, pci_read(pci, PCI_COMMAND) | PCI_IO_AND_MASTER);
        slot->io = (uint16_t)(pci_read(pci, PCI_BAR0) & ~3u);
        out8(slot->io + REG_STATUS, 0);
        out8(slot->io + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
        if (kind == SUBSYSTEM_NET) net_init(slot, device);
        else block_init(slot, device);
        out8(slot->io + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
        for (uint16_t i = 0; kind == SUBSYSTEM_NET && i < RECEIVE_BUFFERS; i++) offer(&slot->queues[QUEUE_RECEIVE], i);
        device->attached = 1;
        handle++;
    }
    if (handle < count) panic("no PCI device for %s", devices[handle].name);
}

enum result block_transfer(enum block_direction direction, unsigned handle, uint64_t offset, void *data, size_t size) {
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } request;
    static volatile uint8_t status;
    struct queue *queue = &slot_of[handle]->queues[QUEUE_BLOCK];
    const uint16_t data_flags = direction == BLOCK_READ ? DESCRIPTOR_DEVICE_WRITES : 0;
    request.type = direction == BLOCK_READ ? 0 : 1;
    request.sector = offset / SECTOR;
    status = 0xff;
    descriptors(queue)[0] = (struct descriptor){(uintptr_t)&request, sizeof request, DESCRIPTOR_NEXT, 1};
    descriptors(queue)[1] =
        (struct descriptor){(uintptr_t)data, (uint32_t)size, (uint16_t)(data_flags | DESCRIPTOR_NEXT), 2};
    descriptors(queue)[2] = (struct descriptor){(uintptr_t)&status, 1, DESCRIPTOR_DEVICE_WRITES, 0};
    offer(queue, 0);
    wait_used(queue);
    return status == 0 ? OK : EUNSPEC;
}

enum result net_write(unsigned handle, const void *frame, size_t size) {
    struct slot *slot = slot_of[handle];
    struct queue *queue = &slot->queues[QUEUE_SEND];
    if (size > BUFFER - NET_HEADER) return EINVAL;
    memset(slot->send, 0, NET_HEADER);
    memcpy(slot->send + NET_HEADER, frame, size);
    descriptors(queue)[0] = (struct descriptor){(uintptr_t)slot->send, (uint32_t)(NET_HEADER + size), 0, 0};
    offer(queue, 0);
    wait_used(queue);
    return OK;
}

bool virtio_net_ready(unsigned handle) {
    return has_used(&slot_of[handle]->queues[QUEUE_RECEIVE]);
}

enum result net_read(unsigned handle, void *frame, size_t room, size_t *size) {
    struct slot *slot = slot_of[handle];
    struct queue *queue = &slot->queues[QUEUE_RECEIVE];
    if (!has_used(queue)) return AGAIN;
    const struct used used = take_used(queue);
    check(used.id < RECEIVE_BUFFERS && used.size >= NET_HEADER && used.size <= BUFFER);
    *size = used.size - NET_HEADER < room ? used.size - NET_HEADER : room;
    memcpy(frame, slot->buffers[used.id] + NET_HEADER, *size);
    offer(queue, (uint16_t)used.id);
    return OK;
}
