DROP TABLE disk_samples;
DROP TABLE device_alerts;
DROP TABLE mail_outbox;
DROP TABLE activity_head;
DROP TABLE activity;
