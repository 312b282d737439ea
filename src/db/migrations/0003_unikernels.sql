-- Images of unikernels, by SHA-256, for as long as one uses them. Pieces of 1 MiB, each compressed with zstd.
CREATE TABLE image (
  sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
  size INTEGER NOT NULL CHECK (size > 0),
  target TEXT NOT NULL CHECK (target IN ('hvt', 'spt')),
  abi_version INTEGER NOT NULL,
  -- [{name, type: net or block}]
  devices TEXT NOT NULL CHECK (json_valid(devices)),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pieces of an upload that isn't complete belong to no image, and go when the server starts.
CREATE TABLE image_chunk (
  id INTEGER PRIMARY KEY,
  upload TEXT NOT NULL,
  number INTEGER NOT NULL,
  sha256 TEXT REFERENCES image (sha256) ON DELETE CASCADE,
  content BLOB NOT NULL,
  UNIQUE (upload, number)
) STRICT;
CREATE INDEX image_chunk_of ON image_chunk (sha256, number) WHERE sha256 IS NOT NULL;

-- A unikernel: what its owner wants and where in its life it is. Written before anything is done about it.
CREATE TABLE unikernel (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  image TEXT NOT NULL REFERENCES image (sha256),
  created_at INTEGER NOT NULL,
  config TEXT NOT NULL CHECK (json_valid(config)),
  -- State, reason, last exit and counts of src/orchestrator/lifecycle.ts.
  lifecycle TEXT NOT NULL CHECK (json_valid(lifecycle)),
  -- The process by which it runs, and what that was given; null where there is none.
  process TEXT CHECK (process IS NULL OR json_valid(process))
) STRICT, WITHOUT ROWID;
CREATE INDEX unikernel_image ON unikernel (image);

-- Consoles. The bytes are in files; a position counts all that was ever written.
CREATE TABLE console (
  unikernel TEXT PRIMARY KEY REFERENCES unikernel (id) ON DELETE CASCADE,
  -- The position of the file's first byte.
  base INTEGER NOT NULL,
  -- The position of the first byte that is still there.
  kept_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- At this time the console had grown to this position.
CREATE TABLE console_time (
  unikernel TEXT NOT NULL REFERENCES unikernel (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (unikernel, position)
) STRICT, WITHOUT ROWID;

-- What happened. The newest are kept.
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  -- No reference: the event outlives the unikernel.
  unikernel TEXT,
  name TEXT,
  text TEXT NOT NULL,
  who TEXT NOT NULL
) STRICT;
CREATE INDEX event_unikernel ON event (unikernel, id) WHERE unikernel IS NOT NULL;

-- What the unikernels at or below a path may use together. The root's path is empty.
CREATE TABLE policy (
  path TEXT PRIMARY KEY,
  unikernels INTEGER NOT NULL CHECK (unikernels >= 0),
  memory_mb INTEGER NOT NULL CHECK (memory_mb >= 0),
  -- JSON arrays.
  cpus TEXT NOT NULL CHECK (json_valid(cpus)),
  -- Null: no volumes at all.
  block_mb INTEGER CHECK (block_mb >= 0),
  bridges TEXT NOT NULL CHECK (json_valid(bridges))
) STRICT, WITHOUT ROWID;

-- Statistics, rolled up: one row a unikernel and span of time.
CREATE TABLE stat (
  unikernel TEXT NOT NULL REFERENCES unikernel (id) ON DELETE CASCADE,
  resolution TEXT NOT NULL CHECK (resolution IN ('minute', 'hour', 'day')),
  at INTEGER NOT NULL,
  point TEXT NOT NULL CHECK (json_valid(point)),
  PRIMARY KEY (unikernel, resolution, at)
) STRICT, WITHOUT ROWID;
