DROP TABLE escrows;
DROP TABLE recovery_keys;
