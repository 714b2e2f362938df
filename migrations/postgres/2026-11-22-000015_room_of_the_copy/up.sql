-- The disk of the second store is sampled as the others are.
ALTER TABLE disk_samples DROP CONSTRAINT disk_samples_disk_check;
ALTER TABLE disk_samples ADD CONSTRAINT disk_samples_disk_check CHECK (disk IN ('database', 'backups', 'copy'));
