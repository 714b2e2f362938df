-- Which Managed Apple Account an enrolment token is for, and what its person's device shows after they signed in.
CREATE TABLE apple_accounts (
    token_id TEXT PRIMARY KEY NOT NULL REFERENCES enrollment_tokens (id),
    account TEXT NOT NULL,
    access_hash TEXT UNIQUE,
    access_until INTEGER,
    CHECK ((access_hash IS NULL) = (access_until IS NULL))
) STRICT;

-- The account that a profile was made for, and the only serial number that may come with it.
ALTER TABLE apple_enrollments ADD COLUMN account TEXT;
ALTER TABLE apple_enrollments ADD COLUMN only_serial TEXT;

-- Our account at Apple's device-enrolment service: the key pair that its token file is encrypted to, that file, and how far
-- the list of devices was read. While all of it is read again, listing_from says since when.
CREATE TABLE apple_service (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    certificate TEXT NOT NULL,
    sealed_key TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    token_file TEXT,
    token_until INTEGER,
    organization TEXT NOT NULL,
    profile_uuid TEXT,
    sync_cursor TEXT,
    listing_from INTEGER,
    synced_at INTEGER,
    due_at INTEGER NOT NULL,
    failure TEXT
) STRICT;

-- The devices that Apple says are assigned to us, and the enrolment token that each comes in with.
CREATE TABLE apple_service_devices (
    serial TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL,
    description TEXT NOT NULL,
    said_at INTEGER NOT NULL,
    removed_at INTEGER,
    token_id TEXT REFERENCES enrollment_tokens (id),
    profile_uuid TEXT
) STRICT;
CREATE INDEX apple_service_devices_by_token ON apple_service_devices (token_id);
