DROP TABLE restores;
DROP TABLE approvals;
DROP TABLE wipe_requests;
DROP TABLE commands;
