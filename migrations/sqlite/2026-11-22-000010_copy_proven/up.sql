-- Restore tests that read only the second store, with the master key that recovery shares gave. store_id: of the store that
-- was read. valid_until: fixed when the test ended; none if it showed nothing. withdrawn_at: something of it was found
-- damaged in the second store. superseded_at: a later one showed something, or this one showed nothing.
CREATE TABLE copy_tests (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    repository_id TEXT NOT NULL,
    restore_point_id TEXT NOT NULL,
    point_at INTEGER NOT NULL,
    store_id TEXT NOT NULL,
    recovery_key_id TEXT NOT NULL REFERENCES recovery_keys (id),
    runner TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('passed', 'failed', 'partial', 'unproven')),
    level TEXT NOT NULL CHECK (level IN ('never', 'reported', 'stored', 'verified', 'partial', 'proven')),
    file_count INTEGER NOT NULL,
    matched_count INTEGER NOT NULL,
    excluded_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    failures TEXT NOT NULL,
    summary TEXT NOT NULL,
    valid_until INTEGER,
    withdrawn_at INTEGER,
    superseded_at INTEGER
) STRICT;
CREATE UNIQUE INDEX copy_tests_newest ON copy_tests (device_id) WHERE superseded_at IS NULL;
CREATE INDEX copy_tests_by_repository ON copy_tests (repository_id) WHERE superseded_at IS NULL;
CREATE INDEX copy_tests_by_device ON copy_tests (device_id, finished_at);
