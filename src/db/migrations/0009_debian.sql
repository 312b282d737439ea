-- The key that signs the repository of packages; made when it is first asked for.
CREATE TABLE repository_key (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- Ed25519.
  seed BLOB NOT NULL CHECK (length(seed) = 32),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
