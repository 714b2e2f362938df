DROP TABLE restores;
DROP TABLE wipe_approvals;
DROP TABLE wipe_requests;
DROP TABLE commands;
