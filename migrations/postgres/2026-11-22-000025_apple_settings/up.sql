-- What is set on the Apple devices of the organisation (`all`), and of each team that has its own; JSON.
CREATE TABLE apple_settings (
    scope TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    team_id TEXT COLLATE "C" REFERENCES teams (id),
    version BIGINT NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    changed_by TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    CHECK ((scope = 'all') = (team_id IS NULL))
);

-- How far each of it is on a device. What is asked for, wanted of it there, sent and there are digests of their content.
CREATE TABLE apple_setting_states (
    enrollment_id TEXT COLLATE "C" NOT NULL REFERENCES apple_enrollments (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('passcode', 'restrictions', 'file_vault', 'time_machine')),
    asked_for TEXT COLLATE "C",
    wanted TEXT COLLATE "C",
    left_out TEXT COLLATE "C" NOT NULL,
    sent TEXT COLLATE "C",
    sent_as TEXT COLLATE "C",
    sent_at BIGINT NOT NULL,
    installed TEXT COLLATE "C",
    installed_at BIGINT,
    failure TEXT COLLATE "C",
    failed_at BIGINT,
    missed_at BIGINT,
    PRIMARY KEY (enrollment_id, kind)
);

-- When something changed that the device is to be woken for; none once it came.
ALTER TABLE apple_enrollments ADD COLUMN settings_due_at BIGINT;
