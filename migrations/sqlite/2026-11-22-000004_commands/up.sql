CREATE TABLE commands (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'acknowledged', 'failed', 'expired', 'cancelled')),
    request_key TEXT UNIQUE,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    delivered_at INTEGER,
    finished_at INTEGER,
    result TEXT
) STRICT;
CREATE INDEX commands_by_device ON commands (device_id, state, created_at);
CREATE INDEX commands_by_state ON commands (state, created_at);

-- passed_at: when it last passed the limits; none while they hold it.
CREATE TABLE wipe_requests (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('requested', 'held', 'cooling', 'released', 'delivered', 'acknowledged', 'confirmed', 'failed', 'expired', 'cancelled', 'review_again')),
    action TEXT NOT NULL CHECK (action IN ('wipe', 'remove_company_data')),
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    facts TEXT NOT NULL,
    facts_digest TEXT NOT NULL,
    request_key TEXT UNIQUE,
    requested_by TEXT NOT NULL REFERENCES users (id),
    requested_at INTEGER NOT NULL,
    passed_at INTEGER,
    approved_by TEXT,
    approved_at INTEGER,
    release_at INTEGER,
    command_id TEXT,
    delivered_at INTEGER,
    acknowledged_at INTEGER,
    finished_at INTEGER,
    stopped_by TEXT,
    state_note TEXT NOT NULL,
    report TEXT,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX wipe_requests_by_state ON wipe_requests (state, requested_at);
CREATE INDEX wipe_requests_by_device ON wipe_requests (device_id, requested_at);

-- Of wipe requests, restores, changes of what is kept, and lifted holds; `subject_id` is the id of any.
CREATE TABLE approvals (
    act TEXT NOT NULL CHECK (act IN ('approve_wipe', 'approve_restore', 'approve_shorter_retention', 'approve_hold_lift')),
    subject_id TEXT NOT NULL,
    approver_id TEXT NOT NULL REFERENCES users (id),
    digest TEXT NOT NULL,
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (act, subject_id, approver_id, digest)
) STRICT;

CREATE TABLE restores (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    target_device_id TEXT NOT NULL REFERENCES devices (id),
    target_generation INTEGER NOT NULL,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    restore_point_id TEXT NOT NULL REFERENCES restore_points (id),
    selection TEXT NOT NULL,
    conflict TEXT NOT NULL CHECK (conflict IN ('keep_both', 'skip')),
    state TEXT NOT NULL CHECK (state IN ('requested', 'queued', 'running', 'compared', 'failed', 'expired', 'cancelled')),
    request_key TEXT UNIQUE,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    agreed TEXT,
    waiting_order TEXT,
    approved_by TEXT,
    approved_at INTEGER,
    ticket_hash TEXT UNIQUE,
    expires_at INTEGER NOT NULL,
    command_id TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    file_count INTEGER NOT NULL,
    restored_count INTEGER NOT NULL,
    matched_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    failures TEXT NOT NULL
) STRICT;
CREATE INDEX restores_by_device ON restores (device_id, requested_at);
CREATE INDEX restores_by_target ON restores (target_device_id, requested_at);
