-- What the second store's bucket locks. added_at: of the bytes that are locked, as in copies: others there since then are
-- not. held_at: since when a legal hold is on them; none if none is. A row outlasts its object while it is held.
CREATE TABLE copy_locks (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    added_at BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    held_at BIGINT,
    PRIMARY KEY (repository_id, kind, name)
);
