-- What is set on the Apple devices of the organisation (`all`), and of each team that has its own; JSON.
CREATE TABLE apple_settings (
    scope TEXT PRIMARY KEY NOT NULL,
    team_id TEXT REFERENCES teams (id),
    version INTEGER NOT NULL,
    settings TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    CHECK ((scope = 'all') = (team_id IS NULL))
) STRICT;

-- How far each of it is on a device. What is asked for, wanted of it there, sent and there are digests of their content.
CREATE TABLE apple_setting_states (
    enrollment_id TEXT NOT NULL REFERENCES apple_enrollments (id),
    kind TEXT NOT NULL CHECK (kind IN ('passcode', 'restrictions', 'file_vault', 'time_machine')),
    asked_for TEXT,
    wanted TEXT,
    left_out TEXT NOT NULL,
    sent TEXT,
    sent_as TEXT,
    sent_at INTEGER NOT NULL,
    installed TEXT,
    installed_at INTEGER,
    failure TEXT,
    failed_at INTEGER,
    missed_at INTEGER,
    PRIMARY KEY (enrollment_id, kind)
) STRICT;

-- When something changed that the device is to be woken for; none once it came.
ALTER TABLE apple_enrollments ADD COLUMN settings_due_at INTEGER;
