DROP TABLE content_reads;
