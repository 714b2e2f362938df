-- A team's key pair (team_id: none for the devices without a team), to which the master keys of its devices' repositories
-- are sealed; its private half is sealed to the proof key. voucher: as below. Retired ones stay while anything is sealed to
-- them.
CREATE TABLE team_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    team_id TEXT COLLATE "C" REFERENCES teams (id),
    public_key TEXT COLLATE "C" NOT NULL,
    sealed_private_key TEXT COLLATE "C" NOT NULL,
    voucher TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    retired_at BIGINT
);

-- To which team key the master key is sealed; none for the proof key itself.
ALTER TABLE repositories ADD COLUMN team_key_id TEXT COLLATE "C" REFERENCES team_keys (id);
CREATE INDEX repositories_by_team_key ON repositories (team_key_id);

-- Keys that open every repository and whose private halves exist only on paper. voucher: made with the proof key, which
-- seals nothing to a key without it. seal_again_at: when to look again for repositories without a record; none if each
-- has one.
CREATE TABLE recovery_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    public_key TEXT COLLATE "C" NOT NULL UNIQUE,
    voucher TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT COLLATE "C" NOT NULL,
    confirmed_at BIGINT,
    confirmed_by TEXT COLLATE "C",
    retired_at BIGINT,
    seal_again_at BIGINT,
    CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
);

-- The master key of a repository, sealed to a recovery key.
CREATE TABLE escrows (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    recovery_key_id TEXT COLLATE "C" NOT NULL REFERENCES recovery_keys (id),
    sealed_master_key TEXT COLLATE "C" NOT NULL,
    sealed_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, recovery_key_id)
);
CREATE INDEX escrows_by_key ON escrows (recovery_key_id, repository_id);
