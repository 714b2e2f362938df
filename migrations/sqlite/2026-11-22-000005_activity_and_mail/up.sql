-- seq has no gaps: it is taken from activity_head inside the writing transaction.
CREATE TABLE activity (
    seq INTEGER PRIMARY KEY NOT NULL,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    via TEXT NOT NULL,
    action TEXT NOT NULL,
    device_id TEXT,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    object_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    result TEXT NOT NULL,
    address TEXT NOT NULL,
    canonical TEXT NOT NULL
) STRICT;
CREATE INDEX activity_by_device ON activity (device_id, seq);
CREATE INDEX activity_by_action ON activity (action, seq);

CREATE TABLE activity_head (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO activity_head (id, seq) VALUES (1, 0);

CREATE TABLE mail_outbox (
    id TEXT PRIMARY KEY NOT NULL,
    dedupe_key TEXT UNIQUE,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    created_at INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    sent_at INTEGER,
    last_error TEXT NOT NULL
) STRICT;
CREATE INDEX mail_outbox_by_state ON mail_outbox (state, next_attempt_at);

-- What was already reported about a device: evidence_at says which lapse or failure.
CREATE TABLE device_alerts (
    device_id TEXT NOT NULL REFERENCES devices (id),
    kind TEXT NOT NULL,
    evidence_at INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, kind)
) STRICT;

-- How much room the disks of the database and of the backups had, an hour apart.
CREATE TABLE disk_samples (
    disk TEXT NOT NULL CHECK (disk IN ('database', 'backups')),
    at INTEGER NOT NULL,
    free_bytes INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    PRIMARY KEY (disk, at)
) STRICT;
