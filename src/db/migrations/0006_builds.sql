-- What is built again and again. Times are milliseconds since 1970.
CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  -- From the newest upload that had them.
  section TEXT,
  synopsis TEXT,
  description TEXT,
  readme TEXT,
  created_at INTEGER NOT NULL
) STRICT;

-- One execution of a job on a platform.
CREATE TABLE build (
  id INTEGER PRIMARY KEY,
  -- 36 characters, in lower case.
  uuid TEXT NOT NULL UNIQUE,
  job INTEGER NOT NULL REFERENCES job (id),
  platform TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  result_kind TEXT NOT NULL CHECK (result_kind IN ('exited', 'signalled', 'stopped', 'message')),
  -- The exit status, or the signal in OCaml's numbers; null for a message.
  result_code INTEGER,
  result_text TEXT,
  -- Over opam-switch, build-environment and system-packages; null where one of them is missing.
  input_id BLOB CHECK (length(input_id) = 32),
  -- The only file below bin/, and what lists show of it. Null for a build that failed.
  main_artifact INTEGER REFERENCES artifact (id) DEFERRABLE INITIALLY DEFERRED,
  main_sha256 BLOB CHECK (length(main_sha256) = 32),
  main_size INTEGER,
  -- {manifest, abi} of the main binary, in builder-web's words; null where it isn't a unikernel.
  solo5 TEXT CHECK (solo5 IS NULL OR json_valid(solo5)),
  script INTEGER NOT NULL REFERENCES content (id),
  -- Lines `1.500s:text`.
  console INTEGER NOT NULL REFERENCES content (id),
  -- The exec document as it came, without the bytes of its files: record_file says what belongs where.
  record INTEGER REFERENCES content (id),
  uploaded_by TEXT NOT NULL,
  worker TEXT,
  -- Collection leaves it alone.
  is_pinned INTEGER NOT NULL DEFAULT 0 CHECK (is_pinned IN (0, 1)),
  received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX build_job ON build (job, started_at DESC, id DESC);
CREATE INDEX build_job_platform ON build (job, platform, started_at DESC, id DESC);
-- Those that have a main binary. Its hash is in each, for neighbours and outputs are found without the rows.
CREATE INDEX build_good ON build (job, platform, started_at DESC, id DESC, main_sha256) WHERE main_sha256 IS NOT NULL;
CREATE INDEX build_job_good ON build (job, started_at DESC, id DESC) WHERE main_sha256 IS NOT NULL;
CREATE INDEX build_job_output ON build (job, main_sha256, platform, started_at DESC) WHERE main_sha256 IS NOT NULL;
-- Those that have none.
CREATE INDEX build_failed ON build (started_at DESC, id DESC) WHERE main_sha256 IS NULL;
CREATE INDEX build_platform_failed ON build (platform, started_at DESC, id DESC) WHERE main_sha256 IS NULL;
CREATE INDEX build_job_failed ON build (job, started_at DESC, id DESC) WHERE main_sha256 IS NULL;
CREATE INDEX build_job_platform_failed ON build (job, platform, started_at DESC, id DESC)
  WHERE main_sha256 IS NULL;
CREATE INDEX build_input ON build (input_id, main_sha256, started_at DESC) WHERE input_id IS NOT NULL;
CREATE INDEX build_output ON build (main_sha256, started_at DESC, id DESC) WHERE main_sha256 IS NOT NULL;
CREATE INDEX build_output_input ON build (main_sha256, input_id, started_at DESC) WHERE main_sha256 IS NOT NULL;
CREATE INDEX build_platform ON build (platform, started_at DESC, id DESC);
CREATE INDEX build_started ON build (started_at DESC, id DESC);

CREATE TABLE artifact (
  id INTEGER PRIMARY KEY,
  build INTEGER NOT NULL REFERENCES build (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  size INTEGER NOT NULL CHECK (size >= 0),
  -- Null where only the hash is known: an import found the file damaged or missing.
  content INTEGER REFERENCES content (id),
  UNIQUE (build, path)
) STRICT;
CREATE INDEX artifact_sha256 ON artifact (sha256, build DESC);
CREATE INDEX artifact_content ON artifact (content) WHERE content IS NOT NULL;
CREATE INDEX build_script ON build (script);
CREATE INDEX build_console ON build (console);
CREATE INDEX build_record ON build (record) WHERE record IS NOT NULL;

-- The files of an exec document in their order, those that are no artifacts included. `offset` is where a file's
-- bytes belong among the document's other bytes.
CREATE TABLE record_file (
  build INTEGER NOT NULL REFERENCES build (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  content INTEGER NOT NULL REFERENCES content (id),
  PRIMARY KEY (build, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_file_content ON record_file (content);

-- Which opam packages a switch export has installed: 'which builds contain x509 < 0.11.0'.
CREATE TABLE package (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  UNIQUE (name, version)
) STRICT;
CREATE TABLE switch_package (
  package INTEGER NOT NULL REFERENCES package (id),
  -- The switch export's SHA-256, as artifact.sha256 has it.
  switch BLOB NOT NULL CHECK (length(switch) = 32),
  PRIMARY KEY (package, switch)
) STRICT, WITHOUT ROWID;
CREATE INDEX switch_package_of ON switch_package (switch);

-- Pictures, by what they were drawn from and the version of what drew them. It has row numbers: a table without them
-- reads whole pictures to find one.
CREATE TABLE visualisation (
  kind TEXT NOT NULL CHECK (kind IN ('treemap', 'dependencies')),
  version INTEGER NOT NULL,
  input BLOB NOT NULL CHECK (length(input) = 32),
  -- JSON from which the page is made, zstd.
  picture BLOB NOT NULL,
  used_at INTEGER NOT NULL,
  PRIMARY KEY (kind, input, version)
) STRICT;
-- Collection looks for old ones, and must not read the pictures for it.
CREATE INDEX visualisation_used ON visualisation (used_at);

-- Other servers, to pull from and to push to.
CREATE TABLE remote (
  name TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For which jobs a user may upload: none, those of upload_access, any. Administrators: any.
ALTER TABLE user ADD COLUMN uploads TEXT NOT NULL DEFAULT 'listed' CHECK (uploads IN ('none', 'listed', 'any'));
CREATE TABLE upload_access (
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  PRIMARY KEY (user_id, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_access_job ON upload_access (job);
