DROP TABLE avoided_packs;
DROP TABLE copy_locks;
