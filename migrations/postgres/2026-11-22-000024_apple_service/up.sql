-- Which Managed Apple Account an enrolment token is for, and what its person's device shows after they signed in.
CREATE TABLE apple_accounts (
    token_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES enrollment_tokens (id),
    account TEXT COLLATE "C" NOT NULL,
    access_hash TEXT COLLATE "C" UNIQUE,
    access_until BIGINT,
    CHECK ((access_hash IS NULL) = (access_until IS NULL))
);

-- The account that a profile was made for, and the only serial number that may come with it.
ALTER TABLE apple_enrollments ADD COLUMN account TEXT COLLATE "C";
ALTER TABLE apple_enrollments ADD COLUMN only_serial TEXT COLLATE "C";

-- Our account at Apple's device-enrolment service: the key pair that its token file is encrypted to, that file, and how far
-- the list of devices was read. While all of it is read again, listing_from says since when.
CREATE TABLE apple_service (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    certificate TEXT COLLATE "C" NOT NULL,
    sealed_key TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    token_file TEXT COLLATE "C",
    token_until BIGINT,
    organization TEXT COLLATE "C" NOT NULL,
    profile_uuid TEXT COLLATE "C",
    sync_cursor TEXT COLLATE "C",
    listing_from BIGINT,
    synced_at BIGINT,
    due_at BIGINT NOT NULL,
    failure TEXT COLLATE "C"
);

-- The devices that Apple says are assigned to us, and the enrolment token that each comes in with.
CREATE TABLE apple_service_devices (
    serial TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    said_at BIGINT NOT NULL,
    removed_at BIGINT,
    token_id TEXT COLLATE "C" REFERENCES enrollment_tokens (id),
    profile_uuid TEXT COLLATE "C"
);
CREATE INDEX apple_service_devices_by_token ON apple_service_devices (token_id);
