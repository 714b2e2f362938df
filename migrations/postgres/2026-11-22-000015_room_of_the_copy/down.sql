DELETE FROM disk_samples WHERE disk = 'copy';
ALTER TABLE disk_samples DROP CONSTRAINT disk_samples_disk_check;
ALTER TABLE disk_samples ADD CONSTRAINT disk_samples_disk_check CHECK (disk IN ('database', 'backups'));
