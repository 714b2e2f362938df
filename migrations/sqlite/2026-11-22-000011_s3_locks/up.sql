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

-- Packs that no store has intact, for which indexes without them were published: clients are not shown those that name
-- them while they are damaged. indexes: the names of these, as JSON.
CREATE TABLE avoided_packs (
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    pack_name TEXT NOT NULL,
    indexes TEXT NOT NULL,
    avoided_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, pack_name)
) STRICT, WITHOUT ROWID;
