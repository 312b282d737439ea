-- Who may use this server. Times are milliseconds since 1970.
CREATE TABLE user (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
  -- What the user sees and touches: this path and all below it. Empty for everything.
  path TEXT NOT NULL,
  -- argon2id in PHC form; null for a user who can't sign in, but may have tokens.
  password_hash TEXT,
  created_at INTEGER NOT NULL,
  password_changed_at INTEGER
) STRICT;

-- Browsers that signed in. What the cookie holds is kept only as its SHA-256.
CREATE TABLE session (
  hash TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  address TEXT NOT NULL,
  agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user_id);

-- Secrets of programs, `robur_ID_SECRET`. The id is no secret and finds the row, the rest is kept as its SHA-256.
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  hash TEXT NOT NULL,
  -- A JSON list: read, operate, write, metrics, admin.
  scopes TEXT NOT NULL CHECK (json_valid(scopes)),
  -- At most what the user's own path allows.
  path TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER,
  UNIQUE (user_id, name)
) STRICT, WITHOUT ROWID;

-- The links that make the first administrator. At most one is valid: making one takes the others away.
CREATE TABLE setup_link (
  hash TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every change, written before it is tried. `status` is what was answered, null while it isn't or never was.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  -- `alice`, `alice by token ci`, `socket`, `command line`, or empty for somebody who hasn't signed in.
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  address TEXT NOT NULL,
  status INTEGER,
  -- The request's id, which error messages show.
  request TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);

-- Who is told of events.
CREATE TABLE hook (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('webhook', 'ntfy', 'script')),
  -- An address, or a script's name in the folder `hooks` of the data directory.
  target TEXT NOT NULL,
  -- webhook: the key of its signatures. ntfy: an access token, or null.
  secret TEXT,
  -- A JSON list of patterns: unikernel.started, unikernel.*, *
  events TEXT NOT NULL CHECK (json_valid(events)),
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;

-- What they were told, or are still to be told.
CREATE TABLE hook_delivery (
  id INTEGER PRIMARY KEY,
  hook_id INTEGER NOT NULL REFERENCES hook (id) ON DELETE CASCADE,
  event TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  -- When it is tried next; null when it is done or given up.
  next_at INTEGER,
  done_at INTEGER,
  -- What came of the last attempt: a sentence.
  result TEXT
) STRICT;
CREATE INDEX hook_delivery_next ON hook_delivery (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX hook_delivery_hook ON hook_delivery (hook_id, id);
