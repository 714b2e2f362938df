DROP TABLE restore_undos;
ALTER TABLE restores DROP COLUMN shown;
ALTER TABLE restores ADD COLUMN old_conflict TEXT NOT NULL DEFAULT 'keep_both' CHECK (old_conflict IN ('keep_both', 'skip'));
UPDATE restores SET old_conflict = conflict WHERE conflict <> 'replace';
ALTER TABLE restores DROP COLUMN conflict;
ALTER TABLE restores RENAME COLUMN old_conflict TO conflict;
