CREATE TABLE commands (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'delivered', 'acknowledged', 'failed', 'expired', 'cancelled')),
    request_key TEXT COLLATE "C" UNIQUE,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    delivered_at BIGINT,
    finished_at BIGINT,
    result TEXT COLLATE "C"
);
CREATE INDEX commands_by_device ON commands (device_id, state, created_at);
CREATE INDEX commands_by_state ON commands (state, created_at);

-- passed_at: when it last passed the limits; none while they hold it.
CREATE TABLE wipe_requests (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('requested', 'held', 'cooling', 'released', 'delivered', 'acknowledged', 'confirmed', 'failed', 'expired', 'cancelled', 'review_again')),
    action TEXT COLLATE "C" NOT NULL CHECK (action IN ('wipe', 'remove_company_data')),
    reason TEXT COLLATE "C" NOT NULL,
    ticket TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    facts_digest TEXT COLLATE "C" NOT NULL,
    request_key TEXT COLLATE "C" UNIQUE,
    requested_by TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    requested_at BIGINT NOT NULL,
    passed_at BIGINT,
    approved_by TEXT COLLATE "C",
    approved_at BIGINT,
    release_at BIGINT,
    command_id TEXT COLLATE "C",
    delivered_at BIGINT,
    acknowledged_at BIGINT,
    finished_at BIGINT,
    stopped_by TEXT COLLATE "C",
    state_note TEXT COLLATE "C" NOT NULL,
    report TEXT COLLATE "C",
    expires_at BIGINT NOT NULL
);
CREATE INDEX wipe_requests_by_state ON wipe_requests (state, requested_at);
CREATE INDEX wipe_requests_by_device ON wipe_requests (device_id, requested_at);

-- Of wipe requests, restores, changes of what is kept, and lifted holds; `subject_id` is the id of any.
CREATE TABLE approvals (
    act TEXT COLLATE "C" NOT NULL CHECK (act IN ('approve_wipe', 'approve_restore', 'approve_shorter_retention', 'approve_hold_lift')),
    subject_id TEXT COLLATE "C" NOT NULL,
    approver_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    digest TEXT COLLATE "C" NOT NULL,
    approved_at BIGINT NOT NULL,
    PRIMARY KEY (act, subject_id, approver_id, digest)
);

CREATE TABLE restores (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    target_device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    target_generation BIGINT NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    restore_point_id TEXT COLLATE "C" NOT NULL REFERENCES restore_points (id),
    selection TEXT COLLATE "C" NOT NULL,
    conflict TEXT COLLATE "C" NOT NULL CHECK (conflict IN ('keep_both', 'skip')),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('requested', 'queued', 'running', 'compared', 'failed', 'expired', 'cancelled')),
    request_key TEXT COLLATE "C" UNIQUE,
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    agreed TEXT COLLATE "C",
    waiting_order TEXT COLLATE "C",
    approved_by TEXT COLLATE "C",
    approved_at BIGINT,
    ticket_hash TEXT COLLATE "C" UNIQUE,
    expires_at BIGINT NOT NULL,
    command_id TEXT COLLATE "C",
    started_at BIGINT,
    finished_at BIGINT,
    file_count BIGINT NOT NULL,
    restored_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    failures TEXT COLLATE "C" NOT NULL
);
CREATE INDEX restores_by_device ON restores (device_id, requested_at);
CREATE INDEX restores_by_target ON restores (target_device_id, requested_at);
