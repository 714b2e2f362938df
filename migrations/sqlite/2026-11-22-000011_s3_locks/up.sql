-- What the second store's bucket locks. added_at: of the bytes that are locked, as in copies: others there since then are
-- not. held_at: since when a legal hold is on them; none if none is. A row outlasts its object while it is held.
CREATE TABLE copy_locks (
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    held_at INTEGER,
    PRIMARY KEY (repository_id, kind, name)
) STRICT, WITHOUT ROWID;
