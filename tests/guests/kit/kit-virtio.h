#ifndef ROBUR_GUEST_KIT_VIRTIO_H
#define ROBUR_GUEST_KIT_VIRTIO_H

#include "kit.h"

/* Finds the devices of the manifest on the PCI bus, in its order, and fills in what they say of themselves. */
void virtio_init(struct device *devices, unsigned count);
/* Whether a frame waits. */
bool virtio_net_ready(unsigned handle);

#endif
