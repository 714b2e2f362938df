-- Why some orders do not reach a device, as its channel says it: a JSON object of kinds and words.
ALTER TABLE enrollments ADD COLUMN cannot TEXT NOT NULL DEFAULT '{}';

-- What was chosen where a device erases itself by its maker's own means; JSON.
ALTER TABLE wipe_requests ADD COLUMN erasure TEXT NOT NULL DEFAULT '{}';

-- Secrets of devices that this server keeps for people: recovery keys, PINs, codes. Earlier ones stay, with their end.
CREATE TABLE device_secrets (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    kind TEXT NOT NULL CHECK (kind IN ('recovery_key', 'lock_pin', 'wipe_pin', 'bypass_code', 'recovery_lock')),
    sealed TEXT NOT NULL,
    generation INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    command_id TEXT REFERENCES commands (id),
    confirmed_at INTEGER,
    doubted_at INTEGER,
    ended_at INTEGER,
    revealed_at INTEGER
) STRICT;
CREATE INDEX device_secrets_by_device ON device_secrets (device_id, kind, made_at);
CREATE INDEX device_secrets_by_fingerprint ON device_secrets (fingerprint);
CREATE INDEX device_secrets_by_command ON device_secrets (command_id);

-- The last of each list that a device gave, and where it last said that it was; JSON.
CREATE TABLE apple_reports (
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    kind TEXT NOT NULL CHECK (kind IN ('profiles', 'certificates', 'applications', 'location')),
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (enrollment_id, kind)
) STRICT;
