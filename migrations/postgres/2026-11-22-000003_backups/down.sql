DROP TABLE device_proof;
DROP TABLE restore_tests;
DROP TABLE restore_points;
DROP TABLE objects;
DROP TABLE repository_tokens;
DROP TABLE repositories;
