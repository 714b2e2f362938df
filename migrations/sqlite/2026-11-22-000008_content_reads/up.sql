-- Each time somebody read what a device backed up. path: a file's name, or what was searched for, which not everybody
-- who may read the history may see. restore_point_id: of a search, the newest of those searched. outcome: only of a download, once it has ended.
CREATE TABLE content_reads (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('list', 'search', 'compare', 'download')),
    device_id TEXT NOT NULL REFERENCES devices (id),
    restore_point_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    at INTEGER NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    outcome TEXT CHECK (outcome IN ('complete', 'left_out', 'broken_off')),
    note TEXT NOT NULL,
    byte_count INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX content_reads_by_device ON content_reads (device_id, id);
CREATE INDEX content_reads_by_outcome ON content_reads (kind, outcome);
