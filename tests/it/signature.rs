//! What the agent API lets in: only a fresh request, signed with the device's own key.
use crate::support::NOW;
use crate::support::device::{SimDevice, post, token};
use crate::support::server::TestServer;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::device::DeviceState;
use domain::time::{days, minutes};
use holdfast::store;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use wire::{self, DeviceFacts, Enrolled};

fn body(device: &SimDevice) -> Vec<u8> {
    serde_json::to_vec(&device.check_in_message(DeviceFacts::default(), vec![])).unwrap()
}

fn good(server: &TestServer, device: &SimDevice, body: &[u8]) -> (Value, Value) {
    let claims = device.claims(server.app.clock.now(), "POST", wire::CHECK_IN, body);
    (json!({"alg": "EdDSA", "typ": "JWT", "kid": device.id().to_string()}), serde_json::to_value(claims).unwrap())
}

fn hmac(key: &[u8], header: &Value, claims: &Value) -> String {
    use aws_lc_rs::hmac;
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

/// Every case is a check-in whose body is good; only its token is not.
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn hostile_tokens(server: &TestServer, device: &SimDevice, body: &[u8]) -> Vec<(String, &'static str, String)> {
    let (header, claims) = good(server, device, body);
    let mut cases = Vec::new();
    let mut add = |name: &str, error, token: String| cases.push((name.to_owned(), error, token));
    for alg in ["none", "None", "HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "eddsa", "Ed25519", ""] {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        add(&format!("alg {alg}"), "wrong_algorithm", device.sign(&header, &claims));
    }
    let mut hs256 = header.clone();
    hs256["alg"] = json!("HS256");
    let public = device.public_key();
    let raw = BASE64_URL_SAFE_NO_PAD.decode(&public).unwrap();
    add("HS256 keyed with the public key", "wrong_algorithm", hmac(&raw, &hs256, &claims));
    add("HS256 keyed with its text", "wrong_algorithm", hmac(public.as_bytes(), &hs256, &claims));
    add("a MAC that says EdDSA", "bad_signature", hmac(&raw, &header, &claims));

    let token = device.sign(&header, &claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    add("empty signature", "bad_signature", format!("{signed}."));
    add("no signature", "bad_signature", signed.to_owned());
    add("signature cut short", "bad_signature", token[..token.len() - 4].to_owned());
    add("signature doubled", "bad_signature", format!("{token}{signature}"));
    add("a fourth part", "bad_signature", format!("{token}.e30"));
    add("padded", "bad_signature", format!("{token}=="));
    add("not base64", "bad_signature", format!("{signed}.***"));
    add("two parts", "bad_signature", "e30.e30".to_owned());
    add("nothing", "bad_signature", String::new());
    add("huge", "bad_signature", "a".repeat(6000));
    add("foreign key", "bad_signature", SimDevice::new().sign(&header, &claims));
    add("empty claims", "bad_signature", device.sign(&header, &json!({})));
    add("claims are a list", "bad_signature", device.sign(&header, &json!([1])));
    add("header is a list", "bad_signature", device.sign_text("[]", &claims.to_string()));
    add("nested header", "bad_signature", device.sign_text(&"[".repeat(2000), &claims.to_string()));

    for (name, value) in [
        ("typ only", json!({"typ": "JWT"})),
        ("no kid", json!({"alg": "EdDSA"})),
        ("kid is a path", json!({"alg": "EdDSA", "kid": "../../etc/passwd"})),
        ("kid is SQL", json!({"alg": "EdDSA", "kid": "' OR 1=1 --"})),
        ("kid is a list", json!({"alg": "EdDSA", "kid": [device.id().to_string()]})),
        ("crit", json!({"alg": "EdDSA", "kid": device.id().to_string(), "crit": ["exp"]})),
    ] {
        add(name, "bad_signature", device.sign(&value, &claims));
    }
    add(
        "alg twice",
        "bad_signature",
        device.sign_text(&format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{}"}}"#, device.id()), &claims.to_string()),
    );
    let own = SimDevice::new();
    let jwk = json!({"alg": "EdDSA", "kid": device.id().to_string(), "jwk": {"kty": "OKP", "crv": "Ed25519", "x": own.public_key()}});
    add("key in the header", "bad_signature", own.sign(&jwk, &claims));

    for name in ["sub", "aud", "iat", "exp", "jti", "htm", "htu", "body_sha256"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        add(&format!("without {name}"), "bad_signature", device.sign(&header, &without));
        for (kind, value) in [("null", json!(null)), ("a list", json!([claims[name]])), ("an object", json!({"a": 1}))]
        {
            let mut wrong = claims.clone();
            wrong[name] = value;
            add(&format!("{name} is {kind}"), "bad_signature", device.sign(&header, &wrong));
        }
        let text = claims.to_string();
        let twice = format!("{},{}:{}}}", &text[..text.len() - 1], json!(name), claims[name]);
        add(&format!("{name} twice"), "bad_signature", device.sign_text(&header.to_string(), &twice));
    }
    let now = NOW.seconds();
    for (name, error, changed) in [
        ("exp is a text", "bad_signature", json!({"exp": "9999999999"})),
        ("exp is a fraction", "bad_signature", json!({"exp": now as f64 + 0.5})),
        ("iat is a text", "bad_signature", json!({"iat": now.to_string()})),
        ("lives too long", "bad_signature", json!({"exp": now + 121})),
        ("lives for ever", "bad_signature", json!({"exp": i64::MAX})),
        ("ends before it begins", "bad_signature", json!({"exp": now - 1})),
        ("began in the dark past", "bad_signature", json!({"iat": i64::MIN})),
        ("old", "clock_off", json!({"iat": now - 300, "exp": now - 200})),
        ("young", "clock_off", json!({"iat": now + 200, "exp": now + 300})),
        ("another sub", "bad_signature", json!({"sub": "0190163d-8694-739b-aea5-966c26f8ad91"})),
        ("sub enroll", "bad_signature", json!({"sub": "enroll"})),
        ("another aud", "bad_signature", json!({"aud": "https://evil.example"})),
        ("empty aud", "bad_signature", json!({"aud": ""})),
        ("another method", "bad_signature", json!({"htm": "GET"})),
        ("another path", "bad_signature", json!({"htu": wire::BACKUPS})),
        ("path with a query", "bad_signature", json!({"htu": "/agent/v1/check-in?x"})),
        ("another body", "bad_signature", json!({"body_sha256": hex::encode(secret::sha256(b"x"))})),
        ("empty hash", "bad_signature", json!({"body_sha256": ""})),
        ("short jti", "bad_signature", json!({"jti": "1"})),
        ("long jti", "bad_signature", json!({"jti": "j".repeat(65)})),
        ("jti with control characters", "bad_signature", json!({"jti": "aaaaaaaa\n"})),
    ] {
        let mut wrong = claims.clone();
        wrong.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        add(name, error, device.sign(&header, &wrong));
    }
    cases
}

#[test]
fn none_of_the_hostile_tokens_is_accepted() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let body = body(&device);
    let cases = hostile_tokens(&server, &device, &body);

    for (name, error, token) in &cases {
        let answer = post(&server, wire::CHECK_IN, token, &body);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some(*error)), "{name}: {}", answer.json());
        assert_eq!(answer.json()["server_time"], NOW.millis(), "{name}");
    }

    assert!(cases.len() > 90, "{} cases", cases.len());
    let status = server.read(|conn| Ok(store::device_status::find(conn, device.id())?)).unwrap();
    assert_eq!(status.last_seen_at, None, "nothing was written");
    assert_eq!(device.post(&server, wire::CHECK_IN, &body).status, 200, "the good one still is");
}

#[test]
fn every_route_wants_a_signature_before_it_looks_at_anything_else() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    for (method, path) in
        [("POST", wire::CHECK_IN), ("GET", wire::WAIT), ("POST", wire::MANIFESTS), ("POST", wire::BACKUPS)]
    {
        let answer = server.request(method, path, &[], b"not even json");
        assert_eq!((answer.status, answer.json()["error"].clone()), (401, json!("bad_signature")), "{method} {path}");
        let other = device.token(NOW, method, "/agent/v1/other", b"not even json");
        let authorization = format!("Bearer {other}");
        let answer = server.request(method, path, &[("Authorization", &authorization)], b"not even json");
        assert_eq!((answer.status, answer.json()["error"].clone()), (401, json!("bad_signature")), "{method} {path}");
    }
}

#[test]
fn a_request_is_accepted_once_even_after_a_restart() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let body = body(&device);
    let token = device.token(NOW, "POST", wire::CHECK_IN, &body);

    assert_eq!(post(&server, wire::CHECK_IN, &token, &body).status, 200);
    let again = post(&server, wire::CHECK_IN, &token, &body);
    assert_eq!((again.status, again.json()["error"].clone()), (401, json!("replayed")));

    let server = server.restart();
    let again = post(&server, wire::CHECK_IN, &token, &body);
    assert_eq!((again.status, again.json()["error"].clone()), (401, json!("replayed")));
    server.app.clock.advance(minutes(4));
    let late = post(&server, wire::CHECK_IN, &token, &body);
    assert_eq!(late.json()["error"], "clock_off", "when its id is forgotten, it is too old");
}

#[test]
fn of_many_copies_at_once_one_is_accepted() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let body = body(&device);
    let token = device.token(NOW, "POST", wire::CHECK_IN, &body);

    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing: Vec<_> =
            (0..8).map(|_| scope.spawn(|| post(&server, wire::CHECK_IN, &token, &body).status)).collect();
        racing.into_iter().map(|it| it.join().unwrap()).collect()
    });

    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 1, "{statuses:?}");
}

#[test]
fn a_copy_that_asks_for_it_gets_the_first_answer_and_only_with_the_body_that_was_signed() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let body = body(&device);
    let token = device.token(NOW, "POST", wire::CHECK_IN, &body);
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        (wire::IDEMPOTENCY_KEY, "of-this-request"),
    ];
    let send = |body: &[u8]| server.request("POST", wire::CHECK_IN, &headers, body);

    let first = send(&body);
    assert_eq!(first.status, 200);
    let copy = send(&body);
    assert_eq!((copy.status, copy.json()), (200, first.json()), "the baton too");
    let other = send(b"{}");
    assert_eq!((other.status, other.json()["error"].clone()), (401, json!("bad_signature")));
    let unasked = post(&server, wire::CHECK_IN, &token, &body);
    assert_eq!(unasked.json()["error"], json!("replayed"));
}

#[test]
fn a_device_that_sends_a_large_message_sends_no_other_large_one_but_any_small_one() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let large = vec![b' '; 300 << 10];
    let token = device.token(NOW, "POST", wire::CHECK_IN, &large);
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        wire::CHECK_IN,
        large.len()
    );
    let begin = || {
        let mut unfinished = TcpStream::connect(server.address).unwrap();
        unfinished.write_all(head.as_bytes()).unwrap();
        unfinished.write_all(&large[..1000]).unwrap();
        unfinished
    };
    // None of these is a message, only its place counts. A whole one may be faster than the head of the other, which
    // is then refused itself, and begins again.
    let whole = || device.post(&server, wire::CHECK_IN, &large).status;

    let unfinished = (0..100).find_map(|_| Some(begin()).filter(|_| whole() == 503));
    let unfinished = unfinished.expect("there is one place for each device");
    device.check_in(&server, DeviceFacts::default());

    drop(unfinished);
    assert!((0..500).any(|_| whole() == 400), "the place is given back");
}

#[test]
fn request_ids_are_forgotten_when_they_cannot_be_used_any_more() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    device.check_in(&server, DeviceFacts::default());
    let count = |server: &TestServer| {
        server.read(|conn| {
            use diesel::prelude::*;
            Ok(store::schema::request_ids::table.count().get_result::<i64>(conn)?)
        })
    };
    assert_eq!(count(&server), 1);

    holdfast::job::expiry::run_once(server.store(), NOW + minutes(2)).unwrap();
    assert_eq!(count(&server), 1);
    holdfast::job::expiry::run_once(server.store(), NOW + minutes(20)).unwrap();
    assert_eq!(count(&server), 0);
}

#[test]
fn a_clock_that_is_off_gets_the_servers_time_and_a_second_try_works() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let body = body(&device);
    for off in [NOW - days(365), NOW + days(365), NOW - Duration::from_secs(300)] {
        let answer = post(&server, wire::CHECK_IN, &device.token(off, "POST", wire::CHECK_IN, &body), &body);
        assert_eq!((answer.status, answer.json()["error"].clone()), (401, json!("clock_off")));
        assert_eq!(answer.json()["server_time"], NOW.millis());
    }
    let near = NOW - Duration::from_secs(50);
    let answer = post(&server, wire::CHECK_IN, &device.token(near, "POST", wire::CHECK_IN, &body), &body);
    assert_eq!(answer.status, 200, "a minute is tolerated");
}

#[test]
fn unknown_removed_and_wiped_devices_are_told_apart() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let mut stranger = SimDevice::new();
    let mut other: Enrolled = device.enrolled.clone().unwrap();
    other.device_id = domain::id::DeviceId::generate(NOW);
    stranger.enrolled = Some(other);
    let error = |device: &SimDevice| {
        let answer = device.post(&server, wire::CHECK_IN, &body(device));
        (answer.status, answer.json()["error"].as_str().map(ToOwned::to_owned))
    };

    assert_eq!(error(&stranger), (401, Some("unknown_device".to_owned())));
    let id = device.id();
    let become_ = |from, to| {
        server.act(move |conn| {
            assert!(store::device::set_state(conn, id, 1, (from, to), NOW)?);
            Ok(())
        });
    };
    become_(DeviceState::Enrolled, DeviceState::Wiped);
    assert_eq!(error(&device), (410, Some("device_wiped".to_owned())));
    become_(DeviceState::Wiped, DeviceState::Removed);
    assert_eq!(error(&device), (401, Some("unknown_device".to_owned())));
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let token = device.token(NOW, "POST", wire::CHECK_IN, b"");
    let head = |extra: &str| {
        format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{extra}\r\n",
            wire::CHECK_IN
        )
    };

    // Not a byte of the body is sent, and the answer comes nevertheless.
    let answer = server.raw(head("Content-Length: 1000000000000\r\n").as_bytes());
    assert_eq!((answer.status, answer.json()["error"].clone()), (413, json!("too_large")));

    let mut chunked = head("Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend_from_slice(format!("{:x}\r\n{}\r\n", 64 << 10, "x".repeat(64 << 10)).as_bytes());
    }
    let answer = server.raw(&chunked);
    assert_eq!((answer.status, answer.json()["error"].clone()), (413, json!("too_large")));
}

#[test]
fn a_token_made_for_one_use_is_not_spent_by_a_bad_request() {
    let server = TestServer::start();
    let token = token(&server, |_| {});
    let device = SimDevice::new();
    let mut message = serde_json::to_value(device.enroll_message(&token)).unwrap();
    message["name"] = json!(null);
    assert_eq!(device.send_enroll(&server, &message).status, 400);
    assert_eq!(device.enroll(&server, &token).status, 200);
}
