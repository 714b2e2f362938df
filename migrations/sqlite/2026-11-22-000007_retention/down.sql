DROP TABLE team_quotas;
DROP INDEX restore_tests_by_end;
DROP TABLE trashed_objects;
DROP TABLE prunes;
DROP TABLE held_devices;
DROP TABLE holds;
DROP TABLE retention_changes;
