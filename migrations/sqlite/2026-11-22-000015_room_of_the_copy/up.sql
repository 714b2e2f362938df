-- The disk of the second store is sampled as the others are.
CREATE TABLE disk_samples_new (
    disk TEXT NOT NULL CHECK (disk IN ('database', 'backups', 'copy')),
    at INTEGER NOT NULL,
    free_bytes INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    PRIMARY KEY (disk, at)
) STRICT;
INSERT INTO disk_samples_new (disk, at, free_bytes, total_bytes) SELECT disk, at, free_bytes, total_bytes FROM disk_samples;
DROP TABLE disk_samples;
ALTER TABLE disk_samples_new RENAME TO disk_samples;
