CREATE TABLE enrollment_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    team_id TEXT REFERENCES teams (id),
    device_id TEXT,
    ownership TEXT NOT NULL CHECK (ownership IN ('company', 'personal')),
    use_limit INTEGER NOT NULL,
    use_count INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE devices (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    person TEXT NOT NULL,
    team_id TEXT REFERENCES teams (id),
    platform TEXT NOT NULL,
    model TEXT NOT NULL,
    serial TEXT NOT NULL,
    os_version TEXT NOT NULL,
    ownership TEXT NOT NULL CHECK (ownership IN ('company', 'personal')),
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'wiped', 'wipe_failed', 'company_data_removed', 'removal_failed', 'removed')),
    generation INTEGER NOT NULL,
    enrolled_at INTEGER NOT NULL,
    erased_at INTEGER
) STRICT;
CREATE INDEX devices_by_name ON devices (name, id);
CREATE INDEX devices_by_serial ON devices (serial);
CREATE INDEX devices_by_team ON devices (team_id);

-- How each device enrolled; the row of its generation is how it is reached.
CREATE TABLE enrollments (
    device_id TEXT NOT NULL REFERENCES devices (id),
    generation INTEGER NOT NULL,
    channel TEXT NOT NULL,
    identity TEXT NOT NULL,
    carries TEXT NOT NULL,
    token_id TEXT NOT NULL REFERENCES enrollment_tokens (id),
    enrolled_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (device_id, generation)
) STRICT;
CREATE UNIQUE INDEX enrollments_by_identity ON enrollments (channel, identity) WHERE ended_at IS NULL;

CREATE TABLE agent_enrollments (
    device_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sealing_key TEXT NOT NULL,
    protected_roots TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (device_id, generation),
    FOREIGN KEY (device_id, generation) REFERENCES enrollments (device_id, generation)
) STRICT;

-- What changes with each check-in, kept apart so that one check-in writes one narrow row.
CREATE TABLE device_status (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    last_seen_at INTEGER,
    next_check_in_at INTEGER,
    facts TEXT NOT NULL,
    encryption TEXT NOT NULL CHECK (encryption IN ('on', 'off', 'unknown')),
    changed_files INTEGER,
    changed_bytes INTEGER,
    changed_measured_at INTEGER,
    changed_until INTEGER,
    heard_until INTEGER,
    roots_away TEXT NOT NULL DEFAULT '[]',
    policy_version TEXT NOT NULL,
    address TEXT NOT NULL,
    -- Which machines have reported as the device; the number makes two simultaneous check-ins run one after the other.
    continuity TEXT NOT NULL,
    continuity_version INTEGER NOT NULL,
    doubt TEXT NOT NULL CHECK (doubt IN ('none', 'older_state', 'two_machines')),
    doubt_since INTEGER
) STRICT;
-- The list of devices sorts by it; 0 stands for never.
CREATE INDEX device_status_by_last_seen ON device_status ((coalesce(last_seen_at, 0)), device_id);
CREATE INDEX device_status_by_encryption ON device_status (encryption);

-- What devices said about themselves before: a row for each change. What they say now is in device_status.
CREATE TABLE facts (
    device_id TEXT NOT NULL REFERENCES devices (id),
    kind TEXT NOT NULL,
    -- In the order of arrival: a clock that was wrong does not change it.
    number INTEGER NOT NULL,
    since INTEGER NOT NULL,
    value TEXT,
    source TEXT NOT NULL,
    PRIMARY KEY (device_id, kind, number)
) STRICT;

-- Each signed request's id until it expires: a request is accepted once.
CREATE TABLE request_ids (
    device_id TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, jti)
) STRICT;
CREATE INDEX request_ids_by_expiry ON request_ids (expires_at);

CREATE TABLE policies (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    team_id TEXT REFERENCES teams (id),
    version INTEGER NOT NULL,
    requirements TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX policies_by_name ON policies (lower(name)) WHERE removed_at IS NULL;

-- Removals on hold: one person asked for more than one within an hour.
CREATE TABLE device_removals (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    generation INTEGER NOT NULL,
    requested_by TEXT NOT NULL,
    requested_name TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_removals_by_due ON device_removals (due_at);
