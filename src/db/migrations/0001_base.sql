-- What the owner of this installation decided, by name. Values are JSON.
CREATE TABLE setting (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL CHECK (json_valid(value))
) STRICT, WITHOUT ROWID;

-- Volumes. The files are the truth; this is what a file can't say of itself.
CREATE TABLE volume (
  name TEXT PRIMARY KEY,
  -- Bytes, when it was last written by robur.
  size INTEGER NOT NULL CHECK (size > 0),
  created_at INTEGER NOT NULL,
  -- Where the file is: relative to the data directory, or absolute where it was adopted.
  path TEXT NOT NULL UNIQUE,
  -- Where its content came from: empty, file:…, stdin, volume:…, adopted.
  origin TEXT NOT NULL
) STRICT, WITHOUT ROWID;
