-- The server's own keys: Ed25519, PKCS #8. The newest signs, the others remain to tell what they signed.
CREATE TABLE signing_key (
  id TEXT PRIMARY KEY CHECK (length(id) = 64),
  private BLOB NOT NULL,
  public BLOB NOT NULL CHECK (length(public) = 32),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys whose statements count.
CREATE TABLE trusted_key (
  id TEXT PRIMARY KEY CHECK (length(id) = 64),
  name TEXT NOT NULL UNIQUE,
  public BLOB NOT NULL CHECK (length(public) = 32),
  added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Signed statements, as they were signed: where a file came from, and who made the same one again.
CREATE TABLE attestation (
  id INTEGER PRIMARY KEY,
  -- The SHA-256 of the envelope: the same one is kept once.
  sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('provenance', 'rebuild')),
  -- A build's UUID. No reference: a statement is as good without the build.
  build TEXT,
  -- Where it was fetched; null for this server's own.
  source TEXT,
  envelope TEXT NOT NULL CHECK (json_valid(envelope)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attestation_build ON attestation (build) WHERE build IS NOT NULL;

-- The files that a statement speaks of.
CREATE TABLE attestation_subject (
  attestation INTEGER NOT NULL REFERENCES attestation (id) ON DELETE CASCADE,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  PRIMARY KEY (sha256, attestation)
) STRICT, WITHOUT ROWID;
CREATE INDEX attestation_subject_of ON attestation_subject (attestation);

-- What came of building something again.
CREATE TABLE reproduction (
  id INTEGER PRIMARY KEY,
  build TEXT NOT NULL,
  -- Where the build was, when it isn't one of this server.
  source TEXT,
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('GOOD', 'BAD', 'FAIL', 'UNKNOWN')),
  -- The build that came of it, where one did.
  rebuilt TEXT,
  -- What differs and where, which variation made it differ, which packages could not be had.
  report TEXT NOT NULL CHECK (json_valid(report)),
  attestation INTEGER REFERENCES attestation (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX reproduction_build ON reproduction (build, finished_at DESC);
