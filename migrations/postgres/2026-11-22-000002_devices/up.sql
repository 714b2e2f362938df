CREATE TABLE enrollment_tokens (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    token_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C" REFERENCES teams (id),
    device_id TEXT COLLATE "C",
    ownership TEXT COLLATE "C" NOT NULL CHECK (ownership IN ('company', 'personal')),
    use_limit BIGINT NOT NULL,
    use_count BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE devices (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C" REFERENCES teams (id),
    platform TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    serial TEXT COLLATE "C" NOT NULL,
    os_version TEXT COLLATE "C" NOT NULL,
    ownership TEXT COLLATE "C" NOT NULL CHECK (ownership IN ('company', 'personal')),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('enrolled', 'wiped', 'wipe_failed', 'company_data_removed', 'removal_failed', 'removed')),
    generation BIGINT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    erased_at BIGINT
);
CREATE INDEX devices_by_name ON devices (name, id);
CREATE INDEX devices_by_serial ON devices (serial);
CREATE INDEX devices_by_team ON devices (team_id);

-- How each device enrolled; the row of its generation is how it is reached.
CREATE TABLE enrollments (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    identity TEXT COLLATE "C" NOT NULL,
    carries TEXT COLLATE "C" NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL REFERENCES enrollment_tokens (id),
    enrolled_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (device_id, generation)
);
CREATE UNIQUE INDEX enrollments_by_identity ON enrollments (channel, identity) WHERE ended_at IS NULL;

CREATE TABLE agent_enrollments (
    device_id TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    sealing_key TEXT COLLATE "C" NOT NULL,
    protected_roots TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, generation),
    FOREIGN KEY (device_id, generation) REFERENCES enrollments (device_id, generation)
);

-- What changes with each check-in, kept apart so that one check-in writes one narrow row.
CREATE TABLE device_status (
    device_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES devices (id),
    last_seen_at BIGINT,
    next_check_in_at BIGINT,
    facts TEXT COLLATE "C" NOT NULL,
    encryption TEXT COLLATE "C" NOT NULL CHECK (encryption IN ('on', 'off', 'unknown')),
    changed_files BIGINT,
    changed_bytes BIGINT,
    changed_measured_at BIGINT,
    changed_until BIGINT,
    heard_until BIGINT,
    roots_away TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    policy_version TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    -- Which machines have reported as the device; the number makes two simultaneous check-ins run one after the other.
    continuity TEXT COLLATE "C" NOT NULL,
    continuity_version BIGINT NOT NULL,
    doubt TEXT COLLATE "C" NOT NULL CHECK (doubt IN ('none', 'older_state', 'two_machines')),
    doubt_since BIGINT
);
-- The list of devices sorts by it; 0 stands for never.
CREATE INDEX device_status_by_last_seen ON device_status ((coalesce(last_seen_at, 0)), device_id);
CREATE INDEX device_status_by_encryption ON device_status (encryption);

-- What devices said about themselves before: a row for each change. What they say now is in device_status.
CREATE TABLE facts (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    kind TEXT COLLATE "C" NOT NULL,
    -- In the order of arrival: a clock that was wrong does not change it.
    number BIGINT NOT NULL,
    since BIGINT NOT NULL,
    value TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, kind, number)
);

-- Each signed request's id until it expires: a request is accepted once.
CREATE TABLE request_ids (
    device_id TEXT COLLATE "C" NOT NULL,
    jti TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, jti)
);
CREATE INDEX request_ids_by_expiry ON request_ids (expires_at);

CREATE TABLE policies (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C" REFERENCES teams (id),
    version BIGINT NOT NULL,
    requirements TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE UNIQUE INDEX policies_by_name ON policies (lower(name)) WHERE removed_at IS NULL;

-- Removals on hold: one person asked for more than one within an hour.
CREATE TABLE device_removals (
    device_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_name TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX device_removals_by_due ON device_removals (due_at);
