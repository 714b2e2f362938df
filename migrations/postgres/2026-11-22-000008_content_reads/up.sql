-- Each time somebody read what a device backed up. path: a file's name, or what was searched for, which not everybody
-- who may read the history may see. restore_point_id: of a search, the newest of those searched. outcome: only of a download, once it has ended.
CREATE TABLE content_reads (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('list', 'search', 'compare', 'download')),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    restore_point_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" CHECK (outcome IN ('complete', 'left_out', 'broken_off')),
    note TEXT COLLATE "C" NOT NULL,
    byte_count BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX content_reads_by_device ON content_reads (device_id, id);
CREATE INDEX content_reads_by_outcome ON content_reads (kind, outcome);
