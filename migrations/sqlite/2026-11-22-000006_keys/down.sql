DROP TABLE escrows;
DROP TABLE recovery_keys;
DROP INDEX repositories_by_team_key;
ALTER TABLE repositories DROP COLUMN team_key_id;
DROP TABLE team_keys;
