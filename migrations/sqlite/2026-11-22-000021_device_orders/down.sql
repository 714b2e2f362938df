DROP TABLE apple_reports;
DROP TABLE device_secrets;
ALTER TABLE wipe_requests DROP COLUMN erasure;
ALTER TABLE enrollments DROP COLUMN cannot;
