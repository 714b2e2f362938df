DROP TABLE apple_service_devices;
DROP TABLE apple_service;
ALTER TABLE apple_enrollments DROP COLUMN only_serial;
ALTER TABLE apple_enrollments DROP COLUMN account;
DROP TABLE apple_accounts;
