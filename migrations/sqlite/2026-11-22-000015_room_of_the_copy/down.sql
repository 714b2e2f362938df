CREATE TABLE disk_samples_old (
    disk TEXT NOT NULL CHECK (disk IN ('database', 'backups')),
    at INTEGER NOT NULL,
    free_bytes INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    PRIMARY KEY (disk, at)
) STRICT;
INSERT INTO disk_samples_old (disk, at, free_bytes, total_bytes)
SELECT disk, at, free_bytes, total_bytes FROM disk_samples WHERE disk <> 'copy';
DROP TABLE disk_samples;
ALTER TABLE disk_samples_old RENAME TO disk_samples;
