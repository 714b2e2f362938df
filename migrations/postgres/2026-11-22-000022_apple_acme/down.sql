DROP TABLE apple_orders;
ALTER TABLE apple_certificates DROP COLUMN attested_udid;
ALTER TABLE apple_certificates DROP COLUMN attested_serial;
ALTER TABLE apple_enrollments DROP COLUMN certification;
