-- Devices that are managed through Apple's protocol: what makes their certificates, how each enrolled, and what it is asked.
CREATE TABLE apple_authority (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    certificate TEXT COLLATE "C" NOT NULL,
    registrar TEXT COLLATE "C" NOT NULL,
    sealed_key TEXT COLLATE "C" NOT NULL,
    authority_key TEXT COLLATE "C" NOT NULL,
    registrar_key TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL
);

-- One for each profile that was handed out; a device only once one checks in with it.
CREATE TABLE apple_enrollments (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL REFERENCES enrollment_tokens (id),
    topic TEXT COLLATE "C" NOT NULL,
    rights BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    name TEXT COLLATE "C",
    said TEXT COLLATE "C",
    device_id TEXT COLLATE "C" REFERENCES devices (id),
    generation BIGINT,
    push_token TEXT COLLATE "C",
    push_magic TEXT COLLATE "C",
    unlock_token TEXT COLLATE "C",
    bootstrap_token TEXT COLLATE "C",
    push_due_at BIGINT NOT NULL,
    push_tries BIGINT NOT NULL,
    ended_at BIGINT,
    CHECK ((device_id IS NULL) = (generation IS NULL))
);
CREATE INDEX apple_enrollments_by_device ON apple_enrollments (device_id, generation);
CREATE INDEX apple_enrollments_by_name ON apple_enrollments (name);
CREATE INDEX apple_enrollments_unused ON apple_enrollments (made_at) WHERE device_id IS NULL;

CREATE TABLE apple_challenges (
    hash TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX apple_challenges_by_enrollment ON apple_challenges (enrollment_id);

CREATE TABLE apple_certificates (
    fingerprint TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    serial TEXT COLLATE "C" NOT NULL,
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX apple_certificates_by_enrollment ON apple_certificates (enrollment_id);

-- What the server asks a device by itself, again and again, with the last answer.
CREATE TABLE apple_queries (
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    kind TEXT COLLATE "C" NOT NULL,
    asked_as TEXT COLLATE "C",
    asked_at BIGINT NOT NULL,
    answered_at BIGINT,
    PRIMARY KEY (enrollment_id, kind)
);

-- What a device said it cannot do at the moment, until it asks again by itself.
CREATE TABLE apple_deferrals (
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    asked_as TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (enrollment_id, asked_as)
);

-- The last messages of each enrolment, both ways, without secrets.
CREATE TABLE apple_messages (
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sender TEXT COLLATE "C" NOT NULL CHECK (sender IN ('device', 'server')),
    kind TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (enrollment_id, number)
);
