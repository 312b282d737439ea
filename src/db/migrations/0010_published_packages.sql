-- Which output of a job is offered to apt, and since which build: the same output again is no new package, however long
-- ago it came first, and also when the builds that had it first are gone.
CREATE TABLE published_package (
  job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  platform TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  built_at INTEGER NOT NULL,
  PRIMARY KEY (job, platform)
) STRICT, WITHOUT ROWID;
