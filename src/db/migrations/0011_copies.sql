-- Runs that were queued together, to see whether their results are the same: the first one's id.
ALTER TABLE run ADD COLUMN batch INTEGER;
