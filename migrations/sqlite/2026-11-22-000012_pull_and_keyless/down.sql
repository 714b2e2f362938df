ALTER TABLE escrows DROP COLUMN kept_at;
ALTER TABLE escrows DROP COLUMN object_name;
