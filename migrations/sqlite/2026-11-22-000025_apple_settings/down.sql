ALTER TABLE apple_enrollments DROP COLUMN settings_due_at;
DROP TABLE apple_setting_states;
DROP TABLE apple_settings;
