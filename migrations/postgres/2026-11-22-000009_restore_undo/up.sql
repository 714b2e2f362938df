ALTER TABLE restores DROP CONSTRAINT restores_conflict_check;
ALTER TABLE restores ADD CONSTRAINT restores_conflict_check CHECK (conflict IN ('keep_both', 'skip', 'replace'));

-- What was shown to whoever ordered a restore that replaces files: JSON, compared when it is delivered.
ALTER TABLE restores ADD COLUMN shown TEXT COLLATE "C";

-- The undo of a restore, the last one if there were several. report: JSON, by the device's word. note: why there is none.
CREATE TABLE restore_undos (
    restore_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES restores (id),
    command_id TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'undone', 'failed', 'ended')),
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT,
    report TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL
);
CREATE INDEX restore_undos_by_command ON restore_undos (command_id);
