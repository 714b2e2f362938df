-- With what Apple devices are woken: the certificate in use, and the key for which the next one is asked. Keys are encrypted.
CREATE TABLE apple_push_request (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE apple_push_certificate (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    key TEXT NOT NULL,
    certificate TEXT NOT NULL,
    topic TEXT NOT NULL,
    until INTEGER NOT NULL,
    put_in_at INTEGER NOT NULL
) STRICT;
