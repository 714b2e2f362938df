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

-- Packs that no store has intact, for which indexes without them were published: clients are not shown those that name
-- them while they are damaged. indexes: the names of these, as JSON.
CREATE TABLE avoided_packs (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    pack_name TEXT COLLATE "C" NOT NULL,
    indexes TEXT COLLATE "C" NOT NULL,
    avoided_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, pack_name)
);
