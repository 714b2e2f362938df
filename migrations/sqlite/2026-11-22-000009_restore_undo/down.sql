-- The program of before knows neither the order nor the word, and reads both strictly.
UPDATE enrollments SET carries = replace(replace(replace(carries, ',"undo_restore"', ''), '"undo_restore",', ''), '"undo_restore"', '');
DELETE FROM commands WHERE kind = 'undo_restore';
DELETE FROM commands WHERE id IN (SELECT command_id FROM restores WHERE conflict = 'replace')
    AND state IN ('queued', 'delivered');
DROP TABLE restore_undos;
ALTER TABLE restores DROP COLUMN shown;
ALTER TABLE restores ADD COLUMN old_conflict TEXT NOT NULL DEFAULT 'keep_both' CHECK (old_conflict IN ('keep_both', 'skip'));
UPDATE restores SET old_conflict = conflict WHERE conflict <> 'replace';
ALTER TABLE restores DROP COLUMN conflict;
ALTER TABLE restores RENAME COLUMN old_conflict TO conflict;
