-- With what Apple devices are woken: the certificate in use, and the key for which the next one is asked. Keys are encrypted.
CREATE TABLE apple_push_request (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    key TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL
);

CREATE TABLE apple_push_certificate (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    key TEXT COLLATE "C" NOT NULL,
    certificate TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    put_in_at BIGINT NOT NULL
);
