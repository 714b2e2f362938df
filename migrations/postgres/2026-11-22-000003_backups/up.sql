CREATE TABLE repositories (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'read_only')),
    sealed_master_key TEXT COLLATE "C" NOT NULL,
    quota_bytes BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    object_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX repositories_by_device ON repositories (device_id);

CREATE TABLE repository_tokens (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('agent', 'own_client')),
    token_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX repository_tokens_by_repository ON repository_tokens (repository_id);

-- The ledger: an object counts as there when its row is.
CREATE TABLE objects (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('config', 'keys', 'data', 'index', 'snapshots', 'locks', 'manifests')),
    name TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    verified_at BIGINT,
    damaged_at BIGINT,
    PRIMARY KEY (repository_id, kind, name)
);

CREATE TABLE restore_points (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    snapshot_name TEXT COLLATE "C" NOT NULL,
    manifest_name TEXT COLLATE "C",
    received_at BIGINT NOT NULL,
    claimed_at BIGINT,
    file_count BIGINT,
    size_bytes BIGINT,
    excluded_count BIGINT NOT NULL,
    excluded TEXT COLLATE "C" NOT NULL,
    reported_at BIGINT,
    stored_at BIGINT,
    verified_at BIGINT,
    proven_at BIGINT,
    failed_at BIGINT,
    UNIQUE (repository_id, snapshot_name)
);
CREATE INDEX restore_points_by_device ON restore_points (device_id, received_at);

-- base_point_id, beyond_*: what the tested point holds that the newest proven point before it does not.
CREATE TABLE restore_tests (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    restore_point_id TEXT COLLATE "C" NOT NULL REFERENCES restore_points (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    cause TEXT COLLATE "C" NOT NULL CHECK (cause IN ('new_backup', 'proof_expiring', 'asked', 'damage')),
    asked_by TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'running', 'finished')),
    result TEXT COLLATE "C" CHECK (result IN ('passed', 'failed', 'partial', 'unproven')),
    level TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    claimed_until BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    file_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    excluded_count BIGINT NOT NULL,
    excluded_bytes BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    stored_bytes_read BIGINT NOT NULL,
    base_point_id TEXT COLLATE "C",
    beyond_files BIGINT,
    beyond_bytes BIGINT,
    failures TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    runner TEXT COLLATE "C" NOT NULL
);
CREATE INDEX restore_tests_by_device ON restore_tests (device_id, queued_at);
CREATE INDEX restore_tests_by_state ON restore_tests (state, queued_at);

-- One row per device that sums up its evidence; rewritten with each change of it.
-- not_proven_*: null while the newest point has not been compared with the proven one.
-- rank: 0 failed, 1 never, 2 reported, 3 stored, 4 verified, 5 proven.
CREATE TABLE device_proof (
    device_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES devices (id),
    rank BIGINT NOT NULL,
    newest_point_id TEXT COLLATE "C",
    newest_at BIGINT,
    stored_at BIGINT,
    verified_at BIGINT,
    verified_until BIGINT,
    proven_point_id TEXT COLLATE "C",
    proven_at BIGINT,
    proven_tested_at BIGINT,
    proven_until BIGINT,
    file_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    not_proven_files BIGINT,
    not_proven_bytes BIGINT,
    failed_at BIGINT,
    failed_test_id TEXT COLLATE "C"
);
CREATE INDEX device_proof_worst_first ON device_proof (rank, proven_until, device_id);
