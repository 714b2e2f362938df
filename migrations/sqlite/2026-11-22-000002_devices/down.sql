DROP TABLE policies;
DROP TABLE request_ids;
DROP TABLE facts;
DROP TABLE device_status;
DROP TABLE agent_enrollments;
DROP TABLE enrollments;
DROP TABLE devices;
DROP TABLE enrollment_tokens;
