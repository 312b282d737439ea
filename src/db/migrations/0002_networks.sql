-- Networks. What is in the kernel follows from these tables, never the other way round.
CREATE TABLE network (
  name TEXT PRIMARY KEY,
  mode TEXT NOT NULL CHECK (mode IN ('nat', 'bridged', 'routed', 'isolated')),
  -- The bridge's interface.
  bridge TEXT NOT NULL UNIQUE,
  -- 1: the bridge is somebody else's and is never changed.
  adopted INTEGER NOT NULL CHECK (adopted IN (0, 1)),
  -- 1: made for a unikernel that needed it; its bridge exists while a unikernel is on it.
  on_demand INTEGER NOT NULL CHECK (on_demand IN (0, 1)),
  -- The host's own address with its prefix length.
  ipv4 TEXT,
  ipv6 TEXT,
  -- bridged: the host's interface in the bridge, and what was moved from it (JSON).
  uplink TEXT,
  moved TEXT CHECK (moved IS NULL OR json_valid(moved)),
  -- bridged: when it is taken back unless somebody confirms; null once confirmed.
  confirm_by INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A unikernel's address, the same each time it starts. Its device's name is that of the manifest.
CREATE TABLE network_lease (
  unikernel TEXT NOT NULL,
  device TEXT NOT NULL,
  network TEXT NOT NULL REFERENCES network (name) ON DELETE CASCADE,
  mac TEXT NOT NULL,
  ipv4 TEXT,
  ipv6 TEXT,
  used_at INTEGER NOT NULL,
  -- Asked for by DHCP by a host that robur didn't start: when it may be given to another. Else null.
  expires_at INTEGER,
  PRIMARY KEY (unikernel, device),
  UNIQUE (network, ipv4),
  UNIQUE (network, ipv6)
) STRICT, WITHOUT ROWID;

-- Taps, and the process for whose life each was made.
CREATE TABLE network_tap (
  tap TEXT PRIMARY KEY,
  unikernel TEXT NOT NULL,
  device TEXT NOT NULL,
  network TEXT NOT NULL REFERENCES network (name) ON DELETE CASCADE,
  owner_pid INTEGER NOT NULL,
  -- Start time in clock ticks and boot id: another process of the same number is not it.
  owner_start TEXT NOT NULL,
  UNIQUE (unikernel, device)
) STRICT, WITHOUT ROWID;

-- Published ports.
CREATE TABLE network_port (
  protocol TEXT NOT NULL CHECK (protocol IN ('tcp', 'udp')),
  -- Address of the host, or empty for all of them.
  address TEXT NOT NULL,
  host_port INTEGER NOT NULL CHECK (host_port BETWEEN 1 AND 65535),
  unikernel TEXT NOT NULL,
  device TEXT NOT NULL,
  network TEXT NOT NULL REFERENCES network (name) ON DELETE CASCADE,
  guest_port INTEGER NOT NULL CHECK (guest_port BETWEEN 1 AND 65535),
  -- 1: published by name, until it is unpublished; 0: goes with the unikernel's tap.
  kept INTEGER NOT NULL CHECK (kept IN (0, 1)),
  PRIMARY KEY (protocol, address, host_port)
) STRICT, WITHOUT ROWID;

-- Kernel settings that belong to the whole machine, with what they were before.
CREATE TABLE network_sysctl (
  path TEXT PRIMARY KEY,
  before TEXT NOT NULL,
  boot TEXT NOT NULL
) STRICT, WITHOUT ROWID;
