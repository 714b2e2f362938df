DROP TABLE apple_messages;
DROP TABLE apple_deferrals;
DROP TABLE apple_queries;
DROP TABLE apple_certificates;
DROP TABLE apple_challenges;
DROP TABLE apple_enrollments;
DROP TABLE apple_authority;
