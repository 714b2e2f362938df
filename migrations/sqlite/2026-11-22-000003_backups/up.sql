CREATE TABLE repositories (
    id TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'read_only')),
    sealed_master_key TEXT NOT NULL,
    quota_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    object_count INTEGER NOT NULL,
    newest_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX repositories_by_device ON repositories (device_id);
-- Only a few: those with less than a tenth left.
CREATE INDEX repositories_nearly_full ON repositories (device_id)
    WHERE state = 'active' AND stored_bytes >= quota_bytes - quota_bytes / 10;

-- as_of: it only reads, and only what was received up to then.
CREATE TABLE repository_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'own_client', 'append_client')),
    token_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_by TEXT,
    user_id TEXT REFERENCES users (id),
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    as_of INTEGER
) STRICT;
CREATE INDEX repository_tokens_by_repository ON repository_tokens (repository_id);

-- The ledger: an object counts as there when its row is. uncopied is 1 until the second store has an intact copy, and
-- null from then on; the triggers below see to it, whoever writes to copies.
CREATE TABLE objects (
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    kind TEXT NOT NULL CHECK (kind IN ('config', 'keys', 'data', 'index', 'snapshots', 'locks', 'manifests')),
    name TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    uncopied INTEGER DEFAULT 1,
    PRIMARY KEY (repository_id, kind, name)
) STRICT, WITHOUT ROWID;
-- What is to be copied next, and since when it waits: few once all is copied.
CREATE INDEX objects_uncopied ON objects (repository_id, kind, received_at) WHERE uncopied IS NOT NULL;

-- Where the bytes of an object are: one row for each location that has them. added_at: when these bytes came there;
-- verified_at: when they were last read back from the disk itself, and matched. rank: what is read back again first;
-- the triggers below see to it that it is never "spare" where the backup store has the only copy.
CREATE TABLE copies (
    repository_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    location TEXT NOT NULL CHECK (location IN ('primary', 'copy')),
    rank TEXT NOT NULL CHECK (rank IN ('needed', 'only', 'spare')),
    added_at INTEGER NOT NULL,
    verified_at INTEGER,
    damaged_at INTEGER,
    PRIMARY KEY (repository_id, kind, name, location),
    FOREIGN KEY (repository_id, kind, name) REFERENCES objects (repository_id, kind, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- Every page asks whether anything is damaged.
CREATE INDEX copies_damaged ON copies (repository_id) WHERE damaged_at IS NOT NULL;
-- Whose turn it is to be read back: what never was, and the rest by age. Two indexes, because the databases do not agree
-- on where nulls come in an order.
CREATE INDEX copies_unread ON copies (location, kind, added_at) WHERE verified_at IS NULL AND damaged_at IS NULL;
CREATE INDEX copies_by_age ON copies (location, rank, verified_at) WHERE verified_at IS NOT NULL AND damaged_at IS NULL;

CREATE TRIGGER copies_added AFTER INSERT ON copies WHEN NEW.location = 'copy' BEGIN
    UPDATE objects SET uncopied = CASE WHEN NEW.damaged_at IS NULL THEN NULL ELSE 1 END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name;
    UPDATE copies SET rank = CASE WHEN NEW.damaged_at IS NULL THEN 'spare' ELSE 'only' END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name
        AND location = 'primary' AND rank <> 'needed';
END;
CREATE TRIGGER copies_changed AFTER UPDATE ON copies
    WHEN NEW.location = 'copy' AND (NEW.damaged_at IS NULL) <> (OLD.damaged_at IS NULL) BEGIN
    UPDATE objects SET uncopied = CASE WHEN NEW.damaged_at IS NULL THEN NULL ELSE 1 END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name;
    UPDATE copies SET rank = CASE WHEN NEW.damaged_at IS NULL THEN 'spare' ELSE 'only' END
        WHERE repository_id = NEW.repository_id AND kind = NEW.kind AND name = NEW.name
        AND location = 'primary' AND rank <> 'needed';
END;
CREATE TRIGGER copies_removed AFTER DELETE ON copies WHEN OLD.location = 'copy' BEGIN
    UPDATE objects SET uncopied = 1
        WHERE repository_id = OLD.repository_id AND kind = OLD.kind AND name = OLD.name;
    UPDATE copies SET rank = 'only'
        WHERE repository_id = OLD.repository_id AND kind = OLD.kind AND name = OLD.name
        AND location = 'primary' AND rank = 'spare';
END;

-- A second copy of the files without which nobody can open a repository, in base64.
CREATE TABLE kept_objects (
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    kind TEXT NOT NULL CHECK (kind IN ('config', 'keys')),
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (repository_id, kind, name)
) STRICT;

-- received_at is by the clock at the time; as_of is never before what the point needs, whatever the clock did; sequence
-- is the order in which a device's points came. *_until was fixed when the test ended: no setting makes it later.
-- failed_keys, failed_rest: what must come back in a test before the failure is made good. test_id: the test that last
-- showed something about the point. trashed_by: the prune that ended it; none while it counts.
CREATE TABLE restore_points (
    id TEXT PRIMARY KEY NOT NULL,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    snapshot_name TEXT NOT NULL,
    sent_by TEXT NOT NULL CHECK (sent_by IN ('agent', 'own_client', 'append_client')),
    manifest_name TEXT,
    received_at INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    claimed_at INTEGER,
    file_count INTEGER,
    size_bytes INTEGER,
    excluded_count INTEGER NOT NULL,
    excluded TEXT NOT NULL DEFAULT '[]',
    reported_at INTEGER,
    stored_at INTEGER,
    verified_at INTEGER,
    verified_until INTEGER,
    partial_at INTEGER,
    partial_until INTEGER,
    proven_at INTEGER,
    proven_until INTEGER,
    failed_at INTEGER,
    failed_keys TEXT NOT NULL DEFAULT '[]',
    failed_rest TEXT CHECK (failed_rest IN ('manifest', 'unnamed')),
    made_good_at INTEGER,
    test_id TEXT,
    retest TEXT CHECK (retest IN ('due', 'once_healed')),
    trashed_by TEXT,
    UNIQUE (repository_id, snapshot_name)
) STRICT;
CREATE INDEX restore_points_by_device ON restore_points (device_id, sequence);
-- Failures that nothing has made good, which are few or none.
CREATE INDEX restore_points_failed ON restore_points (device_id, sequence) WHERE failed_at IS NOT NULL AND made_good_at IS NULL;
-- Points that lost their proof to damage, which are few or none.
CREATE INDEX restore_points_to_retest ON restore_points (device_id, sequence) WHERE retest IS NOT NULL;

-- base_point_id, beyond_*: what the tested point holds that the newest proven point before it does not.
CREATE TABLE restore_tests (
    id TEXT PRIMARY KEY NOT NULL,
    restore_point_id TEXT NOT NULL REFERENCES restore_points (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    cause TEXT NOT NULL CHECK (cause IN ('new_backup', 'proof_expiring', 'asked', 'damage')),
    asked_by TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'finished')),
    result TEXT CHECK (result IN ('passed', 'failed', 'partial', 'unproven')),
    level TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    claimed_until INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    file_count INTEGER NOT NULL,
    matched_count INTEGER NOT NULL,
    excluded_count INTEGER NOT NULL,
    excluded_bytes INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    stored_bytes_read INTEGER NOT NULL,
    base_point_id TEXT,
    beyond_files INTEGER,
    beyond_bytes INTEGER,
    failures TEXT NOT NULL,
    summary TEXT NOT NULL,
    runner TEXT NOT NULL
) STRICT;
CREATE INDEX restore_tests_by_device ON restore_tests (device_id, queued_at);
CREATE INDEX restore_tests_by_point ON restore_tests (restore_point_id, finished_at);
-- Whose turn is next.
CREATE INDEX restore_tests_by_turn ON restore_tests (device_id, started_at);
CREATE INDEX restore_tests_by_state ON restore_tests (state, queued_at);

-- One row per device: its last attempt at a backup. failing_since: since when they have failed. left_out, away: what
-- the last successful one does not hold, as JSON.
CREATE TABLE backup_attempts (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    tried_at INTEGER NOT NULL,
    failing_since INTEGER,
    failed_count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    left_out TEXT NOT NULL,
    away TEXT NOT NULL
) STRICT;

-- One row per device that sums up its evidence; rewritten with each change of it.
-- not_proven_*: null while the newest point has not been compared with the proven one.
-- baseline_*: the backup that the device counts its changes from. filled_points: how many backups hold, or may hold,
-- a file.
-- rank: 0 failed, 1 never, 2 reported, 3 stored, 4 verified, 5 partly proven, 6 proven.
-- noted_at: when the last of the evidence was learned. partial_*: only where that point is newer than the proven one.
CREATE TABLE device_proof (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    rank INTEGER NOT NULL,
    newest_point_id TEXT,
    newest_at INTEGER,
    stored_at INTEGER,
    verified_at INTEGER,
    verified_tested_at INTEGER,
    verified_until INTEGER,
    partial_at INTEGER,
    partial_tested_at INTEGER,
    partial_until INTEGER,
    partial_file_count INTEGER NOT NULL DEFAULT 0,
    partial_matched_count INTEGER NOT NULL DEFAULT 0,
    proven_point_id TEXT,
    proven_at INTEGER,
    proven_tested_at INTEGER,
    proven_until INTEGER,
    file_count INTEGER NOT NULL,
    matched_count INTEGER NOT NULL,
    not_proven_files INTEGER,
    not_proven_bytes INTEGER,
    baseline_id TEXT,
    baseline_at INTEGER,
    baseline_files INTEGER,
    baseline_bytes INTEGER,
    filled_points INTEGER NOT NULL DEFAULT 0,
    failed_at INTEGER,
    failed_test_id TEXT,
    noted_at INTEGER,
    -- Files that no backup holds intact, and the first of their names as JSON.
    damaged_files INTEGER NOT NULL DEFAULT 0,
    damaged_names TEXT NOT NULL DEFAULT '[]',
    -- Since when the store cannot be read, if it holds something from the device: then its levels are not known.
    store_away_since INTEGER,
    -- The evidence of a level is complete or absent: which point, when it was tested, and until when that holds.
    CHECK ((verified_at IS NULL) = (verified_tested_at IS NULL) AND (verified_at IS NULL) = (verified_until IS NULL)),
    CHECK ((partial_at IS NULL) = (partial_tested_at IS NULL) AND (partial_at IS NULL) = (partial_until IS NULL)),
    CHECK ((proven_at IS NULL) = (proven_tested_at IS NULL) AND (proven_at IS NULL) = (proven_until IS NULL))
) STRICT;
CREATE INDEX device_proof_worst_first ON device_proof (rank, proven_until, device_id);

-- What the list of devices is filtered, counted and sorted by, in one narrow row per device: a page of 100,000
-- devices reads only this table. The triggers maintain it. In a time, 0 stands for none, so that rows compare without a
-- special case. changed: 0 none, 1 some, 2 not known; not_proven likewise. counted_until: no count holds after it.
CREATE TABLE device_listings (
    device_id TEXT PRIMARY KEY NOT NULL REFERENCES devices (id),
    state TEXT NOT NULL,
    team_id TEXT,
    platform TEXT NOT NULL,
    ownership TEXT NOT NULL,
    name TEXT NOT NULL,
    person TEXT NOT NULL,
    search TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    encryption TEXT NOT NULL,
    rank INTEGER NOT NULL,
    newest_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    verified_until INTEGER NOT NULL,
    partial_until INTEGER NOT NULL,
    proven_at INTEGER NOT NULL,
    proven_until INTEGER NOT NULL,
    proven_tested_at INTEGER NOT NULL,
    tested_at INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    counted_until INTEGER NOT NULL,
    not_proven INTEGER NOT NULL,
    holds_files INTEGER NOT NULL,
    damaged INTEGER NOT NULL,
    store_away_at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_listings_by_rank ON device_listings (state, rank, proven_until, device_id);
CREATE INDEX device_listings_by_name ON device_listings (state, name, device_id);
CREATE INDEX device_listings_by_proof ON device_listings (state, proven_at, device_id);
CREATE INDEX device_listings_by_backup ON device_listings (state, newest_at, device_id);

CREATE TRIGGER devices_list AFTER INSERT ON devices BEGIN
    INSERT INTO device_listings VALUES (
        NEW.id, NEW.state, NEW.team_id, NEW.platform, NEW.ownership, NEW.name, NEW.person,
        lower(NEW.name || char(10) || NEW.person || char(10) || NEW.serial), NEW.enrolled_at,
        'unknown', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0);
END;
CREATE TRIGGER devices_relist AFTER UPDATE OF state, team_id, platform, ownership, name, person, serial, enrolled_at ON devices BEGIN
    UPDATE device_listings SET
        state = NEW.state, team_id = NEW.team_id, platform = NEW.platform, ownership = NEW.ownership, name = NEW.name,
        person = NEW.person, search = lower(NEW.name || char(10) || NEW.person || char(10) || NEW.serial), enrolled_at = NEW.enrolled_at
    WHERE device_id = NEW.id;
END;
CREATE TRIGGER device_status_list AFTER INSERT ON device_status BEGIN
    UPDATE device_listings SET
        encryption = NEW.encryption, seen_at = coalesce(NEW.last_seen_at, 0),
        changed = CASE
            WHEN NEW.roots_away <> '[]' OR NEW.doubt <> 'none' OR NEW.changed_files IS NULL OR NEW.changed_bytes IS NULL
                OR NEW.changed_measured_at IS NULL THEN 2
            WHEN NEW.changed_files = 0 THEN 0 ELSE 1 END,
        counted_until = min(coalesce(NEW.changed_until, 0), coalesce(NEW.heard_until, 0))
    WHERE device_id = NEW.device_id;
END;
CREATE TRIGGER device_status_relist AFTER UPDATE ON device_status BEGIN
    UPDATE device_listings SET
        encryption = NEW.encryption, seen_at = coalesce(NEW.last_seen_at, 0),
        changed = CASE
            WHEN NEW.roots_away <> '[]' OR NEW.doubt <> 'none' OR NEW.changed_files IS NULL OR NEW.changed_bytes IS NULL
                OR NEW.changed_measured_at IS NULL THEN 2
            WHEN NEW.changed_files = 0 THEN 0 ELSE 1 END,
        counted_until = min(coalesce(NEW.changed_until, 0), coalesce(NEW.heard_until, 0))
    WHERE device_id = NEW.device_id;
END;
CREATE TRIGGER device_proof_list AFTER INSERT ON device_proof BEGIN
    UPDATE device_listings SET
        rank = NEW.rank, newest_at = coalesce(NEW.newest_at, 0), stored_at = coalesce(NEW.stored_at, 0),
        verified_until = coalesce(NEW.verified_until, 0),
        partial_until = coalesce(NEW.partial_until, 0),
        proven_at = coalesce(NEW.proven_at, 0),
        proven_until = coalesce(NEW.proven_until, 0),
        proven_tested_at = coalesce(NEW.proven_tested_at, 0),
        tested_at = max(coalesce(NEW.verified_tested_at, 0), coalesce(NEW.partial_tested_at, 0), coalesce(NEW.proven_tested_at, 0)),
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
END;
CREATE TRIGGER device_proof_relist AFTER UPDATE ON device_proof BEGIN
    UPDATE device_listings SET
        rank = NEW.rank, newest_at = coalesce(NEW.newest_at, 0), stored_at = coalesce(NEW.stored_at, 0),
        verified_until = coalesce(NEW.verified_until, 0),
        partial_until = coalesce(NEW.partial_until, 0),
        proven_at = coalesce(NEW.proven_at, 0),
        proven_until = coalesce(NEW.proven_until, 0),
        proven_tested_at = coalesce(NEW.proven_tested_at, 0),
        tested_at = max(coalesce(NEW.verified_tested_at, 0), coalesce(NEW.partial_tested_at, 0), coalesce(NEW.proven_tested_at, 0)),
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
END;
