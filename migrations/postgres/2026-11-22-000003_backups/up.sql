CREATE TABLE repositories (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'read_only')),
    sealed_master_key TEXT COLLATE "C" NOT NULL,
    quota_bytes BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    object_count BIGINT NOT NULL,
    newest_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX repositories_by_device ON repositories (device_id);
-- Only a few: those with less than a tenth left.
CREATE INDEX repositories_nearly_full ON repositories (device_id)
    WHERE state = 'active' AND stored_bytes >= quota_bytes - quota_bytes / 10;

-- as_of: it only reads, and only what was received up to then.
CREATE TABLE repository_tokens (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('agent', 'own_client', 'append_client')),
    token_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    user_id TEXT COLLATE "C" REFERENCES users (id),
    reason TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    as_of BIGINT
);
CREATE INDEX repository_tokens_by_repository ON repository_tokens (repository_id);

-- The ledger: an object counts as there when its row is. uncopied is 1 until the second store has an intact copy, and
-- null from then on; the triggers below see to it, whoever writes to copies.
CREATE TABLE objects (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('config', 'keys', 'data', 'index', 'snapshots', 'locks', 'manifests')),
    name TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    uncopied BIGINT DEFAULT 1,
    PRIMARY KEY (repository_id, kind, name)
);
-- What is to be copied next, and since when it waits: few once all is copied.
CREATE INDEX objects_uncopied ON objects (repository_id, kind, received_at) WHERE uncopied IS NOT NULL;

-- Where the bytes of an object are: one row for each location that has them. added_at: when these bytes came there;
-- verified_at: when they were last read back from the disk itself, and matched. rank: what is read back again first;
-- the triggers below see to it that it is never "spare" where the backup store has the only copy.
CREATE TABLE copies (
    repository_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL CHECK (location IN ('primary', 'copy')),
    rank TEXT COLLATE "C" NOT NULL CHECK (rank IN ('needed', 'only', 'spare')),
    added_at BIGINT NOT NULL,
    verified_at BIGINT,
    damaged_at BIGINT,
    PRIMARY KEY (repository_id, kind, name, location),
    FOREIGN KEY (repository_id, kind, name) REFERENCES objects (repository_id, kind, name) ON DELETE CASCADE
);
-- Every page asks whether anything is damaged.
CREATE INDEX copies_damaged ON copies (repository_id) WHERE damaged_at IS NOT NULL;
-- Whose turn it is to be read back: what never was, and the rest by age. Two indexes, because the databases do not agree
-- on where nulls come in an order.
CREATE INDEX copies_unread ON copies (location, kind, added_at) WHERE verified_at IS NULL AND damaged_at IS NULL;
CREATE INDEX copies_by_age ON copies (location, rank, verified_at) WHERE verified_at IS NOT NULL AND damaged_at IS NULL;

CREATE FUNCTION note_copied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE objects SET uncopied = CASE WHEN NEW.damaged_at IS NULL THEN NULL ELSE 1 END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name;
    UPDATE copies SET rank = CASE WHEN NEW.damaged_at IS NULL THEN 'spare' ELSE 'only' END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name
        AND location = 'primary' AND rank <> 'needed';
    RETURN NULL;
END $$;
CREATE FUNCTION note_uncopied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE objects SET uncopied = 1
        WHERE repository_id = OLD.repository_id AND kind = OLD.kind AND name = OLD.name;
    UPDATE copies SET rank = 'only'
        WHERE repository_id = OLD.repository_id AND kind = OLD.kind AND name = OLD.name
        AND location = 'primary' AND rank = 'spare';
    RETURN NULL;
END $$;
CREATE TRIGGER copies_added AFTER INSERT ON copies FOR EACH ROW
    WHEN (NEW.location = 'copy') EXECUTE FUNCTION note_copied();
CREATE TRIGGER copies_changed AFTER UPDATE ON copies FOR EACH ROW
    WHEN (NEW.location = 'copy' AND (NEW.damaged_at IS NULL) <> (OLD.damaged_at IS NULL))
    EXECUTE FUNCTION note_copied();
CREATE TRIGGER copies_removed AFTER DELETE ON copies FOR EACH ROW
    WHEN (OLD.location = 'copy') EXECUTE FUNCTION note_uncopied();

-- A second copy of the files without which nobody can open a repository, in base64.
CREATE TABLE kept_objects (
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('config', 'keys')),
    name TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository_id, kind, name)
);

-- received_at is by the clock at the time; as_of is never before what the point needs, whatever the clock did; sequence
-- is the order in which a device's points came. *_until was fixed when the test ended: no setting makes it later.
-- failed_keys, failed_rest: what must come back in a test before the failure is made good. test_id: the test that last
-- showed something about the point. trashed_by: the prune that ended it; none while it counts.
CREATE TABLE restore_points (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    snapshot_name TEXT COLLATE "C" NOT NULL,
    sent_by TEXT COLLATE "C" NOT NULL CHECK (sent_by IN ('agent', 'own_client', 'append_client')),
    manifest_name TEXT COLLATE "C",
    received_at BIGINT NOT NULL,
    as_of BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    claimed_at BIGINT,
    file_count BIGINT,
    size_bytes BIGINT,
    excluded_count BIGINT NOT NULL,
    excluded TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    reported_at BIGINT,
    stored_at BIGINT,
    verified_at BIGINT,
    verified_until BIGINT,
    partial_at BIGINT,
    partial_until BIGINT,
    proven_at BIGINT,
    proven_until BIGINT,
    failed_at BIGINT,
    failed_keys TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    failed_rest TEXT COLLATE "C" CHECK (failed_rest IN ('manifest', 'unnamed')),
    made_good_at BIGINT,
    test_id TEXT COLLATE "C",
    retest TEXT COLLATE "C" CHECK (retest IN ('due', 'once_healed')),
    trashed_by TEXT COLLATE "C",
    UNIQUE (repository_id, snapshot_name)
);
CREATE INDEX restore_points_by_device ON restore_points (device_id, sequence);
-- Failures that nothing has made good, which are few or none.
CREATE INDEX restore_points_failed ON restore_points (device_id, sequence) WHERE failed_at IS NOT NULL AND made_good_at IS NULL;
-- Points that lost their proof to damage, which are few or none.
CREATE INDEX restore_points_to_retest ON restore_points (device_id, sequence) WHERE retest IS NOT NULL;

-- base_point_id, beyond_*: what the tested point holds that the newest proven point before it does not.
CREATE TABLE restore_tests (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    restore_point_id TEXT COLLATE "C" NOT NULL REFERENCES restore_points (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    cause TEXT COLLATE "C" NOT NULL CHECK (cause IN ('new_backup', 'proof_expiring', 'asked', 'damage')),
    asked_by TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'running', 'finished')),
    result TEXT COLLATE "C" CHECK (result IN ('passed', 'failed', 'partial', 'unproven')),
    level TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    claimed_until BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    file_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    excluded_count BIGINT NOT NULL,
    excluded_bytes BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    stored_bytes_read BIGINT NOT NULL,
    base_point_id TEXT COLLATE "C",
    beyond_files BIGINT,
    beyond_bytes BIGINT,
    failures TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    runner TEXT COLLATE "C" NOT NULL
);
CREATE INDEX restore_tests_by_device ON restore_tests (device_id, queued_at);
CREATE INDEX restore_tests_by_point ON restore_tests (restore_point_id, finished_at);
-- Whose turn is next.
CREATE INDEX restore_tests_by_turn ON restore_tests (device_id, started_at);
CREATE INDEX restore_tests_by_state ON restore_tests (state, queued_at);

-- One row per device: its last attempt at a backup. failing_since: since when they have failed. left_out, away: what
-- the last successful one does not hold, as JSON.
CREATE TABLE backup_attempts (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    tried_at BIGINT NOT NULL,
    failing_since BIGINT,
    failed_count BIGINT NOT NULL,
    reason TEXT NOT NULL,
    left_out TEXT NOT NULL,
    away TEXT NOT NULL
);

-- One row per device that sums up its evidence; rewritten with each change of it.
-- not_proven_*: null while the newest point has not been compared with the proven one.
-- baseline_*: the backup that the device counts its changes from. filled_points: how many backups hold, or may hold,
-- a file.
-- rank: 0 failed, 1 never, 2 reported, 3 stored, 4 verified, 5 partly proven, 6 proven.
-- noted_at: when the last of the evidence was learned. partial_*: only where that point is newer than the proven one.
CREATE TABLE device_proof (
    device_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES devices (id),
    rank BIGINT NOT NULL,
    newest_point_id TEXT COLLATE "C",
    newest_at BIGINT,
    stored_at BIGINT,
    verified_at BIGINT,
    verified_tested_at BIGINT,
    verified_until BIGINT,
    partial_at BIGINT,
    partial_tested_at BIGINT,
    partial_until BIGINT,
    partial_file_count BIGINT NOT NULL DEFAULT 0,
    partial_matched_count BIGINT NOT NULL DEFAULT 0,
    proven_point_id TEXT COLLATE "C",
    proven_at BIGINT,
    proven_tested_at BIGINT,
    proven_until BIGINT,
    file_count BIGINT NOT NULL,
    matched_count BIGINT NOT NULL,
    not_proven_files BIGINT,
    not_proven_bytes BIGINT,
    baseline_id TEXT COLLATE "C",
    baseline_at BIGINT,
    baseline_files BIGINT,
    baseline_bytes BIGINT,
    filled_points BIGINT NOT NULL DEFAULT 0,
    failed_at BIGINT,
    failed_test_id TEXT COLLATE "C",
    noted_at BIGINT,
    -- Files that no backup holds intact, and the first of their names as JSON.
    damaged_files BIGINT NOT NULL DEFAULT 0,
    damaged_names TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    -- Since when the store cannot be read, if it holds something from the device: then its levels are not known.
    store_away_since BIGINT,
    -- The evidence of a level is complete or absent: which point, when it was tested, and until when that holds.
    CHECK ((verified_at IS NULL) = (verified_tested_at IS NULL) AND (verified_at IS NULL) = (verified_until IS NULL)),
    CHECK ((partial_at IS NULL) = (partial_tested_at IS NULL) AND (partial_at IS NULL) = (partial_until IS NULL)),
    CHECK ((proven_at IS NULL) = (proven_tested_at IS NULL) AND (proven_at IS NULL) = (proven_until IS NULL))
);
CREATE INDEX device_proof_worst_first ON device_proof (rank, proven_until, device_id);

-- What the list of devices is filtered, counted and sorted by, in one narrow row per device: a page of 100,000
-- devices reads only this table. The triggers maintain it. In a time, 0 stands for none, so that rows compare without a
-- special case. changed: 0 none, 1 some, 2 not known; not_proven likewise. counted_until: no count holds after it.
CREATE TABLE device_listings (
    device_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES devices (id),
    state TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C",
    platform TEXT COLLATE "C" NOT NULL,
    ownership TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    search TEXT COLLATE "C" NOT NULL,
    enrolled_at BIGINT NOT NULL,
    encryption TEXT COLLATE "C" NOT NULL,
    rank BIGINT NOT NULL,
    newest_at BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    verified_until BIGINT NOT NULL,
    partial_until BIGINT NOT NULL,
    proven_at BIGINT NOT NULL,
    proven_until BIGINT NOT NULL,
    proven_tested_at BIGINT NOT NULL,
    tested_at BIGINT NOT NULL,
    noted_at BIGINT NOT NULL,
    failed_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    counted_until BIGINT NOT NULL,
    not_proven BIGINT NOT NULL,
    holds_files BIGINT NOT NULL,
    damaged BIGINT NOT NULL,
    store_away_at BIGINT NOT NULL
);
CREATE INDEX device_listings_by_rank ON device_listings (state, rank, proven_until, device_id);
CREATE INDEX device_listings_by_name ON device_listings (state, name, device_id);
CREATE INDEX device_listings_by_proof ON device_listings (state, proven_at, device_id);
CREATE INDEX device_listings_by_backup ON device_listings (state, newest_at, device_id);

CREATE FUNCTION devices_list() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO device_listings VALUES (
        NEW.id, NEW.state, NEW.team_id, NEW.platform, NEW.ownership, NEW.name, NEW.person,
        lower(NEW.name || chr(10) || NEW.person || chr(10) || NEW.serial), NEW.enrolled_at,
        'unknown', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER devices_list AFTER INSERT ON devices FOR EACH ROW EXECUTE FUNCTION devices_list();

CREATE FUNCTION devices_relist() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE device_listings SET
        state = NEW.state, team_id = NEW.team_id, platform = NEW.platform, ownership = NEW.ownership, name = NEW.name,
        person = NEW.person, search = lower(NEW.name || chr(10) || NEW.person || chr(10) || NEW.serial), enrolled_at = NEW.enrolled_at
    WHERE device_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER devices_relist AFTER UPDATE OF state, team_id, platform, ownership, name, person, serial, enrolled_at ON devices
    FOR EACH ROW EXECUTE FUNCTION devices_relist();

CREATE FUNCTION device_status_list() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE device_listings SET
        encryption = NEW.encryption, seen_at = coalesce(NEW.last_seen_at, 0),
        changed = CASE
            WHEN NEW.roots_away <> '[]' OR NEW.doubt <> 'none' OR NEW.changed_files IS NULL OR NEW.changed_bytes IS NULL
                OR NEW.changed_measured_at IS NULL THEN 2
            WHEN NEW.changed_files = 0 THEN 0 ELSE 1 END,
        counted_until = least(coalesce(NEW.changed_until, 0), coalesce(NEW.heard_until, 0))
    WHERE device_id = NEW.device_id;
    RETURN NULL;
END $$;
CREATE TRIGGER device_status_list AFTER INSERT OR UPDATE ON device_status FOR EACH ROW EXECUTE FUNCTION device_status_list();

CREATE FUNCTION device_proof_list() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE device_listings SET
        rank = NEW.rank, newest_at = coalesce(NEW.newest_at, 0), stored_at = coalesce(NEW.stored_at, 0),
        verified_until = coalesce(NEW.verified_until, 0),
        partial_until = coalesce(NEW.partial_until, 0),
        proven_at = coalesce(NEW.proven_at, 0),
        proven_until = coalesce(NEW.proven_until, 0),
        proven_tested_at = coalesce(NEW.proven_tested_at, 0),
        tested_at = greatest(coalesce(NEW.verified_tested_at, 0), coalesce(NEW.partial_tested_at, 0), coalesce(NEW.proven_tested_at, 0)),
        noted_at = coalesce(NEW.noted_at, 0),
        failed_at = coalesce(NEW.failed_at, 0),
        not_proven = CASE
            WHEN NEW.baseline_id IS NULL OR NEW.baseline_at IS NULL THEN 0
            WHEN NEW.not_proven_files IS NULL OR NEW.not_proven_bytes IS NULL THEN 2
            WHEN NEW.not_proven_files = 0 THEN 0 ELSE 1 END,
        holds_files = CASE WHEN NEW.filled_points > 0 THEN 1 ELSE 0 END,
        damaged = NEW.damaged_files,
        store_away_at = coalesce(NEW.store_away_since, 0)
    WHERE device_id = NEW.device_id;
    RETURN NULL;
END $$;
CREATE TRIGGER device_proof_list AFTER INSERT OR UPDATE ON device_proof FOR EACH ROW EXECUTE FUNCTION device_proof_list();
