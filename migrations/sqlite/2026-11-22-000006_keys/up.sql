-- A team's key pair (team_id: none for the devices without a team), to which the master keys of its devices' repositories
-- are sealed; its private half is sealed to the proof key. voucher: as below. Retired ones stay while anything is sealed to
-- them.
CREATE TABLE team_keys (
    id TEXT PRIMARY KEY NOT NULL,
    team_id TEXT REFERENCES teams (id),
    public_key TEXT NOT NULL,
    sealed_private_key TEXT NOT NULL,
    voucher TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

-- To which team key the master key is sealed; none for the proof key itself.
ALTER TABLE repositories ADD COLUMN team_key_id TEXT REFERENCES team_keys (id);
CREATE INDEX repositories_by_team_key ON repositories (team_key_id);

-- Keys that open every repository and whose private halves exist only on paper. voucher: made with the proof key, which
-- seals nothing to a key without it. seal_again_at: when to look again for repositories without a record; none if each
-- has one.
CREATE TABLE recovery_keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL UNIQUE,
    voucher TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    confirmed_at INTEGER,
    confirmed_by TEXT,
    retired_at INTEGER,
    seal_again_at INTEGER,
    CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
) STRICT;

-- The master key of a repository, sealed to a recovery key.
CREATE TABLE escrows (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    recovery_key_id TEXT NOT NULL REFERENCES recovery_keys (id),
    sealed_master_key TEXT NOT NULL,
    sealed_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, recovery_key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX escrows_by_key ON escrows (recovery_key_id, repository_id);
