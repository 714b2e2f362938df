DROP TABLE copy_locks;
