DROP TABLE copy_tests;
