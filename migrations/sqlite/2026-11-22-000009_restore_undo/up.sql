-- SQLite changes no CHECK of a column, so there is a new column with the old name.
ALTER TABLE restores ADD COLUMN new_conflict TEXT NOT NULL DEFAULT 'keep_both' CHECK (new_conflict IN ('keep_both', 'skip', 'replace'));
UPDATE restores SET new_conflict = conflict;
ALTER TABLE restores DROP COLUMN conflict;
ALTER TABLE restores RENAME COLUMN new_conflict TO conflict;

-- What was shown to whoever ordered a restore that replaces files: JSON, compared when it is delivered.
ALTER TABLE restores ADD COLUMN shown TEXT;

-- The undo of a restore, the last one if there were several. report: JSON, by the device's word. note: why there is none.
CREATE TABLE restore_undos (
    restore_id TEXT PRIMARY KEY NOT NULL REFERENCES restores (id),
    command_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'undone', 'failed', 'ended')),
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    finished_at INTEGER,
    report TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE INDEX restore_undos_by_command ON restore_undos (command_id);
