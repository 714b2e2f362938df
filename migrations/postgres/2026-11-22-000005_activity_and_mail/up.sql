-- seq has no gaps: it is taken from activity_head inside the writing transaction.
CREATE TABLE activity (
    seq BIGINT PRIMARY KEY NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C",
    actor_name TEXT COLLATE "C" NOT NULL,
    via TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C",
    object_kind TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    object_name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    result TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    canonical TEXT COLLATE "C" NOT NULL
);
CREATE INDEX activity_by_device ON activity (device_id, seq);
CREATE INDEX activity_by_action ON activity (action, seq);

CREATE TABLE activity_head (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO activity_head (id, seq) VALUES (1, 0);

CREATE TABLE mail_outbox (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    dedupe_key TEXT COLLATE "C" UNIQUE,
    recipient TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    created_at BIGINT NOT NULL,
    attempt_count BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    sent_at BIGINT,
    last_error TEXT COLLATE "C" NOT NULL
);
CREATE INDEX mail_outbox_by_state ON mail_outbox (state, next_attempt_at);

-- What was already reported about a device: evidence_at says which lapse or failure.
CREATE TABLE device_alerts (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    kind TEXT COLLATE "C" NOT NULL,
    evidence_at BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, kind)
);

-- How much room the disks of the database and of the backups had, an hour apart.
CREATE TABLE disk_samples (
    disk TEXT COLLATE "C" NOT NULL CHECK (disk IN ('database', 'backups')),
    at BIGINT NOT NULL,
    free_bytes BIGINT NOT NULL,
    total_bytes BIGINT NOT NULL,
    PRIMARY KEY (disk, at)
);
