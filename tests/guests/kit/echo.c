#include "echo.h"

enum { ETHERNET = 14, ARP_SIZE = 28, IPV4_SIZE = 20, ICMP_SIZE = 8, UDP_SIZE = 8 };
enum { TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, ICMP = 1, UDP = 17, ECHO_PORT = 7 };
/* Largest frame: MTU 9000 and more. */
static uint8_t frame[16384];

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void swap(uint8_t *a, uint8_t *b, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void parse_address(const char *text, uint8_t address[4]) {
    for (unsigned i = 0; i < 4; i++, text++) {
        unsigned value = 0;
        for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (unsigned)(*text - '0');
        check(value < 256 && (i == 3 || *text == '.'));
        address[i] = (uint8_t)value;
    }
}

struct host host_on(const char *name, uint8_t a, uint8_t b, uint8_t c, uint8_t d, const char *ip_option) {
    struct host host = {device_named(name, DEVICE_NET), {a, b, c, d}, 0};
    const char *text = option_text(ip_option);
    if (text) parse_address(text, host.address);
    const struct device *device = device_of(host.handle);
    const uint8_t *mac = device->net.mac, *ip = host.address;
    print("%s: MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, address %u.%u.%u.%u\n", name, mac[0], mac[1], mac[2],
          mac[3], mac[4], mac[5], device->net.mtu, ip[0], ip[1], ip[2], ip[3]);
    return host;
}

static bool is_ours(const struct host *host, const uint8_t *mac) {
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    return same_bytes(mac, device_of(host->handle)->net.mac, 6) || same_bytes(mac, broadcast, 6);
}

static void return_to_sender(const struct host *host, uint8_t *ethernet) {
    memcpy(ethernet, ethernet + 6, 6);
    memcpy(ethernet + 6, device_of(host->handle)->net.mac, 6);
}

static bool arp_answer(const struct host *host, uint8_t *arp, size_t size) {
    static const uint8_t request_for_ipv4[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    if (size < ARP_SIZE || !same_bytes(arp, request_for_ipv4, 8) || !same_bytes(arp + 24, host->address, 4)) return false;
    put16(arp + 6, 2);
    memcpy(arp + 18, arp + 8, 10);
    memcpy(arp + 8, device_of(host->handle)->net.mac, 6);
    memcpy(arp + 14, host->address, 4);
    return true;
}

/* Makes the request a reply. The checksum follows the change of the type, so damaged contents stay noticeable. */
static bool icmp_answer(uint8_t *icmp, size_t size) {
    if (size < ICMP_SIZE || icmp[0] != 8 || icmp[1] != 0) return false;
    uint32_t sum = (uint16_t)~get16(icmp + 2) + (uint32_t)(uint16_t)~0x0800;
    sum = (sum & 0xffff) + (sum >> 16);
    icmp[0] = 0;
    put16(icmp + 2, (uint16_t)~sum);
    return true;
}

/* Exchanging ports, like exchanging addresses, leaves the checksum right. */
static bool udp_answer(uint8_t *udp, size_t size) {
    if (size < UDP_SIZE || get16(udp + 2) != ECHO_PORT || get16(udp) == ECHO_PORT) return false;
    swap(udp, udp + 2, 2);
    return true;
}

static bool ipv4_answer(const struct host *host, uint8_t *ip, size_t size) {
    if (size < IPV4_SIZE || ip[0] >> 4 != 4) return false;
    const size_t header = (ip[0] & 15u) * 4, total = get16(ip + 2);
    const bool fragment = (get16(ip + 6) & 0x3fff) != 0;
    if (header < IPV4_SIZE || total < header || total > size || fragment) return false;
    if (!same_bytes(ip + 16, host->address, 4)) return false;
    const bool answered = ip[9] == ICMP  ? icmp_answer(ip + header, total - header)
                          : ip[9] == UDP ? udp_answer(ip + header, total - header)
                                         : false;
    if (answered) swap(ip + 12, ip + 16, 4);
    return answered;
}

bool echo_answer(struct host *host, uint8_t *ethernet, size_t size) {
    if (size < ETHERNET || !is_ours(host, ethernet)) return false;
    switch (get16(ethernet + 12)) {
    case TYPE_ARP:
        if (!arp_answer(host, ethernet + ETHERNET, size - ETHERNET)) return false;
        break;
    case TYPE_IPV4:
        if (!ipv4_answer(host, ethernet + ETHERNET, size - ETHERNET)) return false;
        host->replies++;
        break;
    default: return false;
    }
    return_to_sender(host, ethernet);
    return true;
}

void echo_serve(struct host *hosts, unsigned count, uint64_t limit) {
    for (uint64_t total = 0; total < limit;) {
        uint64_t ready;
        poll_devices(NEVER, &ready);
        for (unsigned i = 0; i < count; i++) {
            struct host *host = &hosts[i];
            const size_t room = device_of(host->handle)->net.mtu + ETHERNET;
            size_t size;
            if (!(ready >> host->handle & 1)) continue;
            check(room <= sizeof frame);
            while (total < limit && net_read(host->handle, frame, room, &size) == OK) {
                const uint64_t before = host->replies;
                check(size <= room);
                if (echo_answer(host, frame, size)) check(net_write(host->handle, frame, size) == OK);
                total += host->replies - before;
            }
        }
    }
}
