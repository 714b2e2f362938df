-- Restore tests that read only the second store, with the master key that recovery shares gave. store_id: of the store that
-- was read. valid_until: fixed when the test ended; none if it showed nothing. withdrawn_at: something of it was found
-- damaged in the second store. superseded_at: a later one showed something, or this one showed nothing.
CREATE TABLE copy_tests (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    repository_id TEXT COLLATE "C" NOT NULL,
    restore_point_id TEXT COLLATE "C" NOT NULL,
    point_at BIGINT NOT NULL,
    store_id TEXT COLLATE "C" NOT NULL,
    recovery_key_id TEXT COLLATE "C" NOT NULL REFERENCES recovery_keys (id),
    runner TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    result TEXT COLLATE "C" NOT NULL CHECK (result IN ('passed', 'failed', 'partial', 'unproven')),
    level TEXT COLLATE "C" NOT NULL CHECK (level IN ('never', 'reported', 'stored', 'verified', 'partial', 'proven')),
    file_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    excluded_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    failures TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    valid_until BIGINT,
    withdrawn_at BIGINT,
    superseded_at BIGINT
);
CREATE UNIQUE INDEX copy_tests_newest ON copy_tests (device_id) WHERE superseded_at IS NULL;
CREATE INDEX copy_tests_by_repository ON copy_tests (repository_id) WHERE superseded_at IS NULL;
CREATE INDEX copy_tests_by_device ON copy_tests (device_id, finished_at);
