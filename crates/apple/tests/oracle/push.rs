//! A request for a push certificate, and the certificate, as OpenSSL reads and makes them.
use crate::tool::{World, from_pem, no_openssl, pem};
use holdfast_apple::certificate::{self, PrivateKey, push_request};

#[test]
fn openssl_reads_the_request_and_makes_a_certificate_whose_topic_is_read() {
    if no_openssl() {
        return;
    }
    let folder = World::new().folder;
    let key = PrivateKey::generate_rsa().unwrap();
    let request = push_request(&key).unwrap();
    assert_eq!(*certificate::pem("CERTIFICATE REQUEST", &request), pem("CERTIFICATE REQUEST", &request));
    folder.write("request.pem", certificate::pem("CERTIFICATE REQUEST", &request).as_bytes());
    folder.key("key.pem", &key);
    let text = folder.run("openssl req -in request.pem -noout -verify -text").text();
    assert!(text.contains("CN = Holdfast push certificate") && text.contains("(2048 bit)"), "{text}");

    for (subject, topic) in [
        ("/UID=com.apple.mgmt.External.1/CN=APSP:1/C=US", Some("com.apple.mgmt.External.1")),
        ("/CN=APSP:1/C=US", None),
        ("/UID=one/UID=two", None),
        ("/CN=com.apple.mgmt.External.1", None),
    ] {
        let sign = "openssl req -new -x509 -key key.pem -days 3 -subj";
        folder.write("made.pem", &folder.run(&format!("{sign} {subject}")).well());
        let made = from_pem(&folder.read("made.pem"));
        assert_eq!((made.user_id(), made.public_key().as_ref()), (topic, Ok(key.public())), "{subject}");
    }
}
