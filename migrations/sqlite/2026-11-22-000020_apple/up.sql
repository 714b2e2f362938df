-- Devices that are managed through Apple's protocol: what makes their certificates, how each enrolled, and what it is asked.
CREATE TABLE apple_authority (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    certificate TEXT NOT NULL,
    registrar TEXT NOT NULL,
    sealed_key TEXT NOT NULL,
    authority_key TEXT NOT NULL,
    registrar_key TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

-- One for each profile that was handed out; a device only once one checks in with it.
CREATE TABLE apple_enrollments (
    id TEXT PRIMARY KEY NOT NULL,
    token_id TEXT NOT NULL REFERENCES enrollment_tokens (id),
    topic TEXT NOT NULL,
    rights INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    name TEXT,
    said TEXT,
    device_id TEXT REFERENCES devices (id),
    generation INTEGER,
    push_token TEXT,
    push_magic TEXT,
    unlock_token TEXT,
    bootstrap_token TEXT,
    push_due_at INTEGER NOT NULL,
    push_tries INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((device_id IS NULL) = (generation IS NULL))
) STRICT;
CREATE INDEX apple_enrollments_by_device ON apple_enrollments (device_id, generation);
CREATE INDEX apple_enrollments_by_name ON apple_enrollments (name);
CREATE INDEX apple_enrollments_unused ON apple_enrollments (made_at) WHERE device_id IS NULL;

CREATE TABLE apple_challenges (
    hash TEXT PRIMARY KEY NOT NULL,
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX apple_challenges_by_enrollment ON apple_challenges (enrollment_id);

CREATE TABLE apple_certificates (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    serial TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX apple_certificates_by_enrollment ON apple_certificates (enrollment_id);

-- What the server asks a device by itself, again and again, with the last answer.
CREATE TABLE apple_queries (
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    kind TEXT NOT NULL,
    asked_as TEXT,
    asked_at INTEGER NOT NULL,
    answered_at INTEGER,
    PRIMARY KEY (enrollment_id, kind)
) STRICT;

-- What a device said it cannot do at the moment, until it asks again by itself.
CREATE TABLE apple_deferrals (
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    asked_as TEXT NOT NULL,
    PRIMARY KEY (enrollment_id, asked_as)
) STRICT;

-- The last messages of each enrolment, both ways, without secrets.
CREATE TABLE apple_messages (
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sender TEXT NOT NULL CHECK (sender IN ('device', 'server')),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (enrollment_id, number)
) STRICT;
