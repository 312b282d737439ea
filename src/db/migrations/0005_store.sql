-- Content-defined pieces of files, each kept once.
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
  size INTEGER NOT NULL CHECK (size > 0),
  -- zstd; or the bytes themselves where that would be no smaller: it is `size` long then.
  content BLOB NOT NULL
) STRICT;

-- A file's bytes, once. Without a SHA-256 it is still being written, and nobody sees it.
CREATE TABLE content (
  id INTEGER PRIMARY KEY,
  sha256 BLOB UNIQUE CHECK (length(sha256) = 32),
  size INTEGER NOT NULL CHECK (size >= 0),
  created_at INTEGER NOT NULL
) STRICT;

-- The chunks that a content consists of, by where each begins.
CREATE TABLE content_chunk (
  content INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
  offset INTEGER NOT NULL CHECK (offset >= 0),
  chunk INTEGER NOT NULL REFERENCES chunk (id),
  PRIMARY KEY (content, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_chunk_of ON content_chunk (chunk);

-- Uploads that come in parts, and may go on after an interruption.
CREATE TABLE upload (
  id TEXT PRIMARY KEY,
  content INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
  -- What it is for and whose it is, for whoever takes it up again.
  purpose TEXT NOT NULL CHECK (json_valid(purpose)),
  who TEXT NOT NULL,
  -- Bytes it is to have; null where nobody said.
  size INTEGER,
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
