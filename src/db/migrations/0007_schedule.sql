-- What is to be built, and when. Times are milliseconds since 1970, spans are milliseconds.
CREATE TABLE job_definition (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  -- {kind: script, script} or {kind: orb, opamPackage}.
  work TEXT NOT NULL CHECK (json_valid(work)),
  -- A JSON list. Empty for orb jobs that are built on every platform.
  platforms TEXT NOT NULL CHECK (json_valid(platforms)),
  -- {kind: hourly, daily, weekly, never} or {kind: cron, line}.
  recurrence TEXT NOT NULL CHECK (json_valid(recurrence)),
  -- Null: never by itself.
  next_at INTEGER,
  timeout_ms INTEGER NOT NULL CHECK (timeout_ms > 0),
  limits TEXT NOT NULL CHECK (json_valid(limits)),
  network TEXT NOT NULL CHECK (json_valid(network)),
  -- How many builds each time: two of equal input show whether a job is reproducible.
  copies INTEGER NOT NULL CHECK (copies BETWEEN 1 AND 16),
  jitter_ms INTEGER NOT NULL CHECK (jitter_ms >= 0),
  -- What happens after a time when no server was there.
  catch_up TEXT NOT NULL CHECK (catch_up IN ('once', 'skip')),
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX job_definition_due ON job_definition (next_at) WHERE next_at IS NOT NULL AND is_enabled = 1;

-- Platforms that a worker asked for or a job was queued for. A dropped one gets no work.
CREATE TABLE worker_platform (
  name TEXT PRIMARY KEY,
  is_dropped INTEGER NOT NULL CHECK (is_dropped IN (0, 1)),
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last run number of a job; it goes on when the job is removed and made again.
CREATE TABLE run_number (
  job TEXT PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A job that waits, runs or ran on one platform; it may take several attempts.
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL,
  -- 1, 2, 3, … a job, given when it is queued.
  number INTEGER NOT NULL,
  platform TEXT NOT NULL,
  -- Why it was queued: for people.
  reason TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'finished', 'aborted')),
  -- Higher ones first; among equal ones the lower position.
  priority INTEGER NOT NULL,
  position INTEGER NOT NULL,
  queued_at INTEGER NOT NULL,
  -- It isn't handed out earlier: a failed attempt's next one waits.
  not_before INTEGER NOT NULL,
  -- Attempts so far, the one that runs included.
  attempts INTEGER NOT NULL,
  -- The newest attempt's UUID, which is its build's.
  uuid TEXT UNIQUE,
  worker TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  -- Who wants it to end; it ends when its worker says so.
  aborted_by TEXT,
  -- exited 0, or why it ended: for people.
  outcome TEXT,
  -- Lines of its console, of all attempts.
  lines INTEGER NOT NULL DEFAULT 0,
  console_bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (job, number)
) STRICT;
CREATE INDEX run_queue ON run (platform, priority DESC, position) WHERE state = 'queued';
CREATE INDEX run_queued_job ON run (job, platform, position) WHERE state = 'queued';
CREATE INDEX run_running ON run (id) WHERE state = 'running';
CREATE INDEX run_ended ON run (finished_at DESC) WHERE finished_at IS NOT NULL;

-- One execution of a run by a worker. Its UUID is what the worker must show, and becomes the build's.
CREATE TABLE run_attempt (
  uuid TEXT PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  worker TEXT NOT NULL,
  -- http: it comes back after the connection broke. builder: its connection is all there is of it.
  link TEXT NOT NULL CHECK (link IN ('http', 'builder')),
  -- What a worker that lost the answer asks by.
  ticket TEXT,
  -- As it was handed out.
  assignment TEXT NOT NULL CHECK (json_valid(assignment)),
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  -- Of an attempt that ended without its worker's word: why. It is kept as a build with what there is of its console.
  lost TEXT,
  -- The build is in the store.
  is_kept INTEGER NOT NULL DEFAULT 0 CHECK (is_kept IN (0, 1)),
  -- Its lines in the run's console begin here, and so many came from the worker, dropped ones included.
  first_line INTEGER NOT NULL,
  taken INTEGER NOT NULL DEFAULT 0,
  UNIQUE (run, number)
) STRICT;
CREATE INDEX run_attempt_unkept ON run_attempt (ended_at) WHERE ended_at IS NOT NULL AND is_kept = 0;
CREATE INDEX run_attempt_ticket ON run_attempt (ticket) WHERE ticket IS NOT NULL;

-- Console lines as they came, some together: each with its nanoseconds and its length before its bytes. It has row
-- numbers: a table without them reads whole contents, and not their keys alone, to find one.
CREATE TABLE run_console (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  first_line INTEGER NOT NULL,
  lines INTEGER NOT NULL CHECK (lines > 0),
  content BLOB NOT NULL,
  PRIMARY KEY (run, first_line)
) STRICT;
