DROP TABLE restore_undos;
ALTER TABLE restores DROP COLUMN shown;
UPDATE restores SET conflict = 'keep_both' WHERE conflict = 'replace';
ALTER TABLE restores DROP CONSTRAINT restores_conflict_check;
ALTER TABLE restores ADD CONSTRAINT restores_conflict_check CHECK (conflict IN ('keep_both', 'skip'));
