DROP TABLE mail_outbox;
DROP TABLE activity_head;
DROP TABLE activity;
