-- What is kept of every device, each time it was changed: the one in force is the newest whose time has come.
-- before, rule: what is kept before and after, as text.
CREATE TABLE retention_changes (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    before TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('requested', 'agreed', 'in_force', 'cancelled')),
    reason TEXT COLLATE "C" NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    requested_at BIGINT NOT NULL,
    approved_by TEXT COLLATE "C",
    approved_at BIGINT,
    in_force_at BIGINT,
    expires_at BIGINT NOT NULL,
    CHECK ((state IN ('agreed', 'in_force')) = (in_force_at IS NOT NULL))
);
CREATE INDEX retention_changes_by_force ON retention_changes (in_force_at);

-- What may not be removed. person: folded, of a hold on everything of one person. device_id: also of a hold on a point.
CREATE TABLE holds (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    scope TEXT COLLATE "C" NOT NULL CHECK (scope IN ('device', 'person', 'point')),
    cause TEXT COLLATE "C" NOT NULL CHECK (cause IN ('person', 'anomaly')),
    device_id TEXT COLLATE "C" REFERENCES devices (id),
    person TEXT COLLATE "C",
    point_id TEXT COLLATE "C" REFERENCES restore_points (id),
    reason TEXT COLLATE "C" NOT NULL,
    made_by TEXT COLLATE "C" REFERENCES users (id),
    made_name TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    lift_reason TEXT COLLATE "C",
    lift_asked_by TEXT COLLATE "C" REFERENCES users (id),
    lift_asked_at BIGINT,
    lifted_by TEXT COLLATE "C" REFERENCES users (id),
    lifted_at BIGINT,
    CHECK ((scope = 'person') = (person IS NOT NULL) AND (scope = 'person') = (device_id IS NULL)),
    CHECK ((scope = 'point') = (point_id IS NOT NULL)),
    CHECK ((lift_asked_by IS NULL) = (lift_asked_at IS NULL)),
    CHECK ((lifted_by IS NULL) = (lifted_at IS NULL))
);
CREATE INDEX holds_by_device ON holds (device_id) WHERE lifted_at IS NULL;
CREATE INDEX holds_by_scope ON holds (scope) WHERE lifted_at IS NULL;

-- Devices that a hold on everything of a person covered when they were given to somebody else: it covers them still.
CREATE TABLE held_devices (
    hold_id TEXT COLLATE "C" NOT NULL REFERENCES holds (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    PRIMARY KEY (hold_id, device_id)
);
CREATE INDEX held_devices_by_device ON held_devices (device_id);

-- What moved to the trash at once, of one repository. sequence: of the newest point at that time. published: the names
-- of the indexes that replaced others, as JSON.
CREATE TABLE prunes (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('trashed', 'undoing', 'undone', 'erasing', 'erased')),
    rule TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    point_count BIGINT NOT NULL,
    object_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    published TEXT COLLATE "C" NOT NULL,
    trashed_at BIGINT NOT NULL,
    erase_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX prunes_open ON prunes (repository_id) WHERE state IN ('trashed', 'undoing', 'erasing');
CREATE INDEX prunes_undone ON prunes (repository_id, ended_at) WHERE state = 'undone';
CREATE INDEX prunes_by_device ON prunes (device_id, trashed_at);

-- Objects that are not in the ledger any more, and whose bytes are not erased yet. aside_at: when they were moved
-- from their place to the store's trash.
CREATE TABLE trashed_objects (
    prune_id TEXT COLLATE "C" NOT NULL REFERENCES prunes (id),
    repository_id TEXT COLLATE "C" NOT NULL REFERENCES repositories (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('data', 'index', 'snapshots', 'manifests')),
    name TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    verified_at BIGINT,
    damaged_at BIGINT,
    aside_at BIGINT,
    PRIMARY KEY (prune_id, kind, name)
);
CREATE INDEX trashed_objects_to_move ON trashed_objects (prune_id) WHERE aside_at IS NULL;
CREATE INDEX trashed_objects_by_name ON trashed_objects (repository_id, kind, name);

-- Restore tests in the order in which they ended: each is looked at once for something unusual.
CREATE INDEX restore_tests_by_end ON restore_tests (finished_at) WHERE state = 'finished';

-- The space that the backups of a team's devices take together. stored_bytes: as last summed up. full_at: since when
-- they fill it; none while there is room.
CREATE TABLE team_quotas (
    team_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES teams (id),
    quota_bytes BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    full_at BIGINT
);
