-- The record that the second store has of this: the SHA-256 of its bytes, which is its name there, and since when. None
-- while it has none, or was found not to have it any more.
ALTER TABLE escrows ADD COLUMN object_name TEXT;
ALTER TABLE escrows ADD COLUMN kept_at INTEGER;
