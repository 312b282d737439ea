/* A host with a web server: ARP, ICMP echo and UDP echo of the kit, and a TCP of its own that only answers. GET / says
   hello and who asks, GET /N gives N bytes. Options: --ipv4=A.B.C.D/L (10.0.0.2/24), --ipv4-gateway=A.B.C.D, port=N (80),
   requests=N answered, then it succeeds.

   The TCP (RFC 9293): passive open; data in order only, the rest is asked for again; one request a connection. What is
   sent is made again from its place in the answer, so nothing is kept for sending again, which is done from the first
   byte that isn't acknowledged, after a fixed time. Options but MSS and window scale are passed over. There is no
   congestion control beyond a fixed window: this is for a bridge and its neighbourhood. */
#include "echo.h"

DEVICES(NET("service"));

enum { ETHERNET = 14, IPV4_SIZE = 20, TCP_SIZE = 20, TCP = 6 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { CONNECTIONS = 64, REQUEST_MAX = 2048, HEADER_MAX = 512, WINDOW = 32768, IN_FLIGHT = 65536, FRAME = 16384 };
static const uint64_t RESEND = 200 * MILLISECOND, GIVE_UP = 30 * SECOND;

enum state { FREE, OPENING, READING, ANSWERING, CLOSING };

struct connection {
    enum state state;
    uint8_t mac[6], address[4];
    uint16_t port, mss;
    uint32_t peer_window;
    uint32_t first;          /* our sequence number of the answer's first byte */
    uint32_t sent, acked;    /* places in the answer; its end is a FIN and counts as one */
    uint32_t expected;       /* the peer's next byte */
    uint64_t touched, resend_at;
    size_t request_size, header_size;
    uint64_t body_size;
    char request[REQUEST_MAX], header[HEADER_MAX];
};

static struct connection connections[CONNECTIONS];
static struct host host;
static uint16_t server_port;
static uint64_t answered, seed;
static uint8_t frame[FRAME], out[FRAME];

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static uint16_t checksum(const uint8_t *data, size_t size, uint64_t sum) {
    for (; size > 1; data += 2, size -= 2) sum += get16(data);
    if (size > 0) sum += (uint64_t)data[0] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint64_t pseudo_header(const uint8_t *ip, size_t tcp_size) {
    return (uint64_t)get16(ip + 12) + get16(ip + 14) + get16(ip + 16) + get16(ip + 18) + TCP + tcp_size;
}

/* One segment from `out`, whose `size` bytes of data lie behind room for the headers and `options` bytes of options. */
static void send_segment(struct connection *c, uint32_t sequence, unsigned flags, unsigned options, size_t size) {
    uint8_t *ip = out + ETHERNET, *tcp = ip + IPV4_SIZE;
    const size_t tcp_size = TCP_SIZE + options + size;
    memcpy(out, c->mac, 6);
    memcpy(out + 6, device_of(host.handle)->net.mac, 6);
    put16(out + 12, 0x0800);
    memset(ip, 0, IPV4_SIZE);
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)(IPV4_SIZE + tcp_size));
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = TCP;
    memcpy(ip + 12, host.address, 4);
    memcpy(ip + 16, c->address, 4);
    put16(ip + 10, checksum(ip, IPV4_SIZE, 0));
    put16(tcp, server_port);
    put16(tcp + 2, c->port);
    put32(tcp + 4, sequence);
    put32(tcp + 8, c->expected);
    tcp[12] = (uint8_t)((TCP_SIZE + options) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    put16(tcp + 14, WINDOW);
    put32(tcp + 16, 0);
    put16(tcp + 16, checksum(tcp, tcp_size, pseudo_header(ip, tcp_size)));
    check(net_write(host.handle, out, ETHERNET + IPV4_SIZE + tcp_size) == OK);
}

static uint8_t *data_at(unsigned options) {
    return out + ETHERNET + IPV4_SIZE + TCP_SIZE + options;
}

static void send_syn(struct connection *c) {
    uint8_t *option = data_at(0);
    option[0] = 2;
    option[1] = 4;
    put16(option + 2, (uint16_t)(device_of(host.handle)->net.mtu - IPV4_SIZE - TCP_SIZE));
    /* No window scale from us: then the peer uses none either. */
    send_segment(c, c->first - 1, SYN | ACK, 4, 0);
    c->resend_at = monotonic() + RESEND;
}

static void append(char *text, size_t *size, const char *more) {
    while (*more && *size < HEADER_MAX) text[(*size)++] = *more++;
}

static void append_number(char *text, size_t *size, uint64_t value) {
    char digits[21];
    unsigned at = 20;
    digits[at] = '\0';
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    append(text, size, digits + at);
}

/* The whole answer is the header, then body_size letters. For GET / the text is a part of the header. */
static void make_answer(struct connection *c) {
    c->request[c->request_size] = '\0';
    const char *path = after(c->request, "GET /");
    const bool is_number = path && *path >= '0' && *path <= '9';
    char text[HEADER_MAX];
    size_t text_size = 0, size = 0;
    uint64_t body = 0;
    if (is_number) {
        for (; *path >= '0' && *path <= '9'; path++) body = body * 10 + (uint64_t)(*path - '0');
        if (body > 0x7fffffff - HEADER_MAX) body = 0x7fffffff - HEADER_MAX;
    } else if (path && (*path == ' ' || *path == '?')) {
        append(text, &text_size, "hello from ");
        for (unsigned i = 0; i < 4; i++) append_number(text, &text_size, host.address[i]), append(text, &text_size, i < 3 ? "." : " to ");
        for (unsigned i = 0; i < 4; i++) append_number(text, &text_size, c->address[i]), append(text, &text_size, i < 3 ? "." : "\n");
    }
    const bool found = is_number || text_size > 0;
    append(c->header, &size, found ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 404 Not Found\r\n");
    append(c->header, &size, "Content-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
    append_number(c->header, &size, body + text_size);
    append(c->header, &size, "\r\n\r\n");
    check(size + text_size <= HEADER_MAX);
    memcpy(c->header + size, text, text_size);
    c->header_size = size + text_size;
    c->body_size = body;
}

static uint32_t answer_size(const struct connection *c) {
    return (uint32_t)(c->header_size + c->body_size);
}

static void copy_answer(const struct connection *c, uint8_t *to, uint32_t place, size_t size) {
    for (size_t i = 0; i < size; i++, place++) {
        to[i] = place < c->header_size ? (uint8_t)c->header[place] : (uint8_t)('a' + (place - c->header_size) % 26);
    }
}

/* As much of the answer as the peer has room for, and the FIN behind it. */
static void send_answer(struct connection *c) {
    const uint32_t size = answer_size(c);
    const uint32_t room = c->peer_window < IN_FLIGHT ? c->peer_window : IN_FLIGHT;
    while (c->sent < size && c->sent - c->acked < room) {
        uint32_t piece = size - c->sent;
        if (piece > c->mss) piece = c->mss;
        if (piece > room - (c->sent - c->acked)) piece = room - (c->sent - c->acked);
        copy_answer(c, data_at(0), c->sent, piece);
        send_segment(c, c->first + c->sent, ACK | PSH, 0, piece);
        c->sent += piece;
    }
    if (c->sent == size) {
        send_segment(c, c->first + c->sent, ACK | FIN, 0, 0);
        c->sent++;
        c->state = CLOSING;
    }
    c->resend_at = monotonic() + RESEND;
}

static void resend(struct connection *c) {
    if (c->state == OPENING) {
        send_syn(c);
    } else if (c->acked <= answer_size(c)) {
        c->sent = c->acked;
        c->state = ANSWERING;
        /* A closed window is asked after with one byte. */
        if (c->peer_window == 0) c->peer_window = 1;
        send_answer(c);
    }
}

static struct connection *find(const uint8_t *address, uint16_t port) {
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &connections[i];
        if (c->state != FREE && c->port == port && same_bytes(c->address, address, 4)) return c;
    }
    return NULL;
}

/* A free place, else the one that was silent for longest. */
static struct connection *new_connection(void) {
    struct connection *oldest = &connections[0];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (connections[i].state == FREE) return &connections[i];
        if (connections[i].touched < oldest->touched) oldest = &connections[i];
    }
    return oldest;
}

/* MSS and window scale of a SYN. */
static void read_options(struct connection *c, const uint8_t *option, const uint8_t *end) {
    c->mss = 536;
    while (option < end && *option != 0) {
        if (*option == 1) {
            option++;
            continue;
        }
        if (end - option < 2 || option[1] < 2 || end - option < option[1]) return;
        if (option[0] == 2 && option[1] == 4) c->mss = get16(option + 2);
        option += option[1];
    }
    const uint16_t own = (uint16_t)(device_of(host.handle)->net.mtu - IPV4_SIZE - TCP_SIZE);
    if (c->mss > own) c->mss = own;
    if (c->mss < 64) c->mss = 64;
}

static void open_connection(const uint8_t *ethernet, const uint8_t *ip, const uint8_t *tcp, size_t header) {
    struct connection *c = new_connection();
    *c = (struct connection){.state = OPENING, .port = get16(tcp)};
    memcpy(c->mac, ethernet + 6, 6);
    memcpy(c->address, ip + 12, 4);
    read_options(c, tcp + TCP_SIZE, tcp + header);
    c->peer_window = get16(tcp + 14);
    c->expected = get32(tcp + 4) + 1;
    c->first = (uint32_t)random64(&seed);
    c->touched = monotonic();
    send_syn(c);
}

static void take_acknowledgement(struct connection *c, const uint8_t *tcp) {
    const uint32_t acked = get32(tcp + 8) - c->first;
    c->peer_window = get16(tcp + 14);
    if (c->state == OPENING && acked == 0) c->state = READING;
    if (c->state < ANSWERING || acked - c->acked > c->sent - c->acked) return;
    if (acked != c->acked) c->resend_at = monotonic() + RESEND;
    c->acked = acked;
    if (c->state == CLOSING && c->acked == answer_size(c) + 1) {
        /* The peer's own FIN may still come; it is answered without a connection, by RST, which harms nobody. */
        c->state = FREE;
        answered++;
    }
}

/* The request ends with an empty line. */
static bool is_whole(const struct connection *c) {
    const char *end = c->request + c->request_size;
    return c->request_size >= 4 && end[-4] == '\r' && end[-3] == '\n' && end[-2] == '\r' && end[-1] == '\n';
}

static void take_data(struct connection *c, uint32_t sequence, const uint8_t *data, size_t size, bool fin) {
    if (size == 0 && !fin) return;
    if (sequence == c->expected) {
        size_t room = REQUEST_MAX - 1 - c->request_size;
        if (c->state == READING && size <= room) {
            memcpy(c->request + c->request_size, data, size);
            c->request_size += size;
        }
        c->expected += (uint32_t)size + (fin ? 1 : 0);
        if (c->state == READING && (is_whole(c) || fin || size > room)) {
            make_answer(c);
            c->state = ANSWERING;
            send_answer(c);
            return;
        }
    }
    send_segment(c, c->first + c->sent, ACK, 0, 0);
}

/* There is no such connection, and the peer is told (RFC 9293, 3.5.2). */
static void refuse(const uint8_t *ethernet, const uint8_t *ip, const uint8_t *tcp, size_t length) {
    static struct connection none;
    none = (struct connection){.port = get16(tcp)};
    memcpy(none.mac, ethernet + 6, 6);
    memcpy(none.address, ip + 12, 4);
    none.expected = get32(tcp + 4) + (uint32_t)length;
    if (tcp[13] & ACK) send_segment(&none, get32(tcp + 8), RST, 0, 0);
    else send_segment(&none, 0, RST | ACK, 0, 0);
}

static void take_segment(const uint8_t *ethernet, const uint8_t *ip, const uint8_t *tcp, size_t size) {
    const size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (header < TCP_SIZE || header > size || get16(tcp + 2) != server_port) {
        if (header >= TCP_SIZE && header <= size && !(tcp[13] & RST)) refuse(ethernet, ip, tcp, 1);
        return;
    }
    const unsigned flags = tcp[13];
    const size_t length = size - header;
    struct connection *c = find(ip + 12, get16(tcp));
    if (flags & RST) {
        if (c) c->state = FREE;
        return;
    }
    if (flags & SYN) {
        if (c && c->state == OPENING) send_syn(c);
        else open_connection(ethernet, ip, tcp, header);
        return;
    }
    if (!c) {
        /* Late words of a connection that is done: the peer's FIN, or its ACK of ours. */
        if (length > 0) refuse(ethernet, ip, tcp, length);
        return;
    }
    c->touched = monotonic();
    memcpy(c->mac, ethernet + 6, 6);
    if (flags & ACK) take_acknowledgement(c, tcp);
    if (c->state == FREE || c->state == OPENING) return;
    take_data(c, get32(tcp + 4), tcp + header, length, flags & FIN);
    if (c->state == ANSWERING) send_answer(c);
}

/* True if the frame was a whole segment for this host, right by its checksum. */
static bool tcp_frame(const uint8_t *ethernet, size_t frame_size) {
    const uint8_t *ip = ethernet + ETHERNET;
    const size_t size = frame_size - ETHERNET;
    if (frame_size < ETHERNET + IPV4_SIZE || get16(ethernet + 12) != 0x0800 || ip[0] >> 4 != 4 || ip[9] != TCP) return false;
    const size_t header = (ip[0] & 15u) * 4, total = get16(ip + 2);
    if (header < IPV4_SIZE || total < header + TCP_SIZE || total > size || (get16(ip + 6) & 0x3fff) != 0) return false;
    /* Who doesn't know our address yet may send to all: that is how passt begins. */
    if (!same_bytes(ip + 16, host.address, 4)) return false;
    const size_t tcp_size = total - header;
    if (checksum(ip + header, tcp_size, pseudo_header(ip, tcp_size)) != 0) return false;
    take_segment(ethernet, ip, ip + header, tcp_size);
    return true;
}

/* How long until something is to be sent again; what is due is sent. */
static uint64_t tend(void) {
    const uint64_t now = monotonic();
    uint64_t next = NEVER;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &connections[i];
        if (c->state == FREE) continue;
        if (now - c->touched > GIVE_UP) {
            c->state = FREE;
            continue;
        }
        if (c->state == READING) continue;
        if (c->resend_at <= now) resend(c);
        const uint64_t wait = c->resend_at > now ? c->resend_at - now : RESEND;
        if (wait < next) next = wait;
    }
    return next;
}

/* Tells everybody who we are, as an ARP request for the own address (RFC 5227). */
static void announce(void) {
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    const uint8_t *mac = device_of(host.handle)->net.mac;
    memset(out, 0, 60);
    memset(out, 0xff, 6);
    memcpy(out + 6, mac, 6);
    put16(out + 12, 0x0806);
    memcpy(out + ETHERNET, request, 8);
    memcpy(out + ETHERNET + 8, mac, 6);
    memcpy(out + ETHERNET + 14, host.address, 4);
    memcpy(out + ETHERNET + 24, host.address, 4);
    check(net_write(host.handle, out, 60) == OK);
}

int run(void) {
    host = host_on("service", 10, 0, 0, 2, "--ipv4");
    server_port = (uint16_t)option("port", 80);
    seed = walltime();
    const uint64_t requests = option("requests", NEVER);
    const size_t room = device_of(host.handle)->net.mtu + (size_t)ETHERNET;
    check(room <= FRAME);
    announce();
    print("listening on port %u\n", server_port);
    while (answered < requests) {
        uint64_t ready;
        size_t size;
        poll_devices(tend(), &ready);
        while (net_read(host.handle, frame, room, &size) == OK) {
            if (tcp_frame(frame, size)) continue;
            if (echo_answer(&host, frame, size)) check(net_write(host.handle, frame, size) == OK);
        }
    }
    print("%lu requests\n", answered);
    return success();
}
