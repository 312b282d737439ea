/* A host on a network that answers ARP, ICMP echo and, on port 7, UDP echo. */
#ifndef ROBUR_GUEST_ECHO_H
#define ROBUR_GUEST_ECHO_H

#include "kit.h"

struct host {
    unsigned handle;
    uint8_t address[4];
    uint64_t replies; /* ARP not counted */
};

/* Prints MAC, MTU and address of the device. The option ip=A.B.C.D replaces the address. */
struct host host_on(const char *name, uint8_t a, uint8_t b, uint8_t c, uint8_t d, const char *ip_option);

/* Turns a frame into its answer, in place. False if there is none. */
bool echo_answer(struct host *host, uint8_t *frame, size_t size);

/* Serves until the replies of all hosts reach the limit. */
void echo_serve(struct host *hosts, unsigned count, uint64_t limit);

#endif
