DROP TABLE apple_push_certificate;
DROP TABLE apple_push_request;
