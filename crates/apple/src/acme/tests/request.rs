use super::super::testing::{Client, base64, curve_key};
use super::super::*;
use crate::certificate::KeyError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use rcgen::CertificateParams;
use serde_json::{Value, json};

const URL: &str = "https://devices.test/apple/acme/order";

fn parse(request: &Value) -> Result<Jws, JwsError> {
    Jws::parse(request.to_string().as_bytes())
}

fn opened(request: &Value) -> Result<Request, JwsError> {
    let jws = parse(request)?;
    let Signer::Key(key) = jws.signer().clone() else { panic!("an account") };
    jws.verify(&key)
}

#[test]
fn what_somebody_signed_is_read_with_their_key_and_no_other() {
    let (client, other) = (Client::new(), Client::new());
    let request = client.request(&client.header(None, URL, "n"), "{\"a\":1}");
    let expected = Request { url: URL.to_owned(), nonce: "n".to_owned(), payload: b"{\"a\":1}".to_vec() };
    assert_eq!(opened(&request), Ok(expected));
    let Signer::Key(others) = parse(&other.request(&other.header(None, URL, "n"), "")).unwrap().signer().clone() else {
        panic!("an account")
    };
    assert_eq!(parse(&request).unwrap().verify(&others), Err(JwsError::Signature));

    let of_account = client.request(&client.header(Some("https://a"), URL, "n"), "");
    assert_eq!(parse(&of_account).unwrap().signer(), &Signer::Account("https://a".to_owned()));
    for part in ["protected", "payload", "signature"] {
        let mut changed = request.clone();
        changed[part] = of_account[part].clone();
        assert!(opened_or_of_account(&changed).is_err(), "{part}");
    }
}

fn opened_or_of_account(request: &Value) -> Result<Request, JwsError> {
    match parse(request)?.signer() {
        Signer::Account(_) => Err(JwsError::Signer),
        Signer::Key(_) => opened(request),
    }
}

#[test]
fn rsa_and_the_larger_curve_sign_too_each_with_its_own_algorithm() {
    let random = SystemRandom::new();
    let signed = |header: Value, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let (protected, payload) = (base64(header.to_string().as_bytes()), base64(b"{}"));
        let signature = base64(&sign(format!("{protected}.{payload}").as_bytes()));
        json!({ "protected": protected, "payload": payload, "signature": signature })
    };
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
    let curve = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = curve.public_key().as_ref();
    let on_curve = json!({ "kty": "EC", "crv": "P-384", "x": base64(&point[1..49]), "y": base64(&point[49..]) });
    let by_curve = |it: &[u8]| curve.sign(&random, it).unwrap().as_ref().to_vec();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (n, e) = (rsa.public_key().modulus(), rsa.public_key().exponent());
    let of_rsa = json!({ "kty": "RSA", "n": base64(n.big_endian_without_leading_zero()),
        "e": base64(e.big_endian_without_leading_zero()) });
    let by_rsa = |it: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, it, &mut signature).unwrap();
        signature
    };
    let header = |alg: &str, jwk: &Value| json!({ "alg": alg, "jwk": jwk, "url": URL, "nonce": "n" });

    assert!(opened(&signed(header("ES384", &on_curve), &by_curve)).is_ok());
    assert!(opened(&signed(header("RS256", &of_rsa), &by_rsa)).is_ok());
    for (alg, jwk) in [("ES256", &on_curve), ("RS256", &on_curve), ("ES384", &of_rsa), ("ES256", &of_rsa)] {
        assert_eq!(opened(&signed(header(alg, jwk), &by_curve)), Err(JwsError::Algorithm), "{alg} {jwk}");
    }
}

#[test]
fn an_algorithm_that_proves_nothing_or_is_not_known_is_refused() {
    let client = Client::new();
    for alg in ["none", "None", "HS256", "ES512", "PS256", "RS1", "EdDSA", "", "es256"] {
        let mut header = client.header(None, URL, "n");
        header["alg"] = alg.into();
        let mut request = client.request(&header, "{}");
        assert_eq!(parse(&request).unwrap_err(), JwsError::Algorithm, "{alg}");
        request["signature"] = "".into();
        assert_eq!(parse(&request).unwrap_err(), JwsError::Algorithm, "{alg}");
        let problem = Problem::from(JwsError::Algorithm).document();
        assert_eq!(problem["algorithms"], json!(["ES256", "ES384", "RS256"]));
    }
}

#[test]
fn a_request_of_another_form_is_refused() {
    let client = Client::new();
    let header = client.header(None, URL, "n");
    let good = client.request(&header, "{}");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        parse(&client.request(&header, "{}")).map(drop)
    };
    let (x, y) = (header["jwk"]["x"].clone(), header["jwk"]["y"].clone());
    let key = |why| Err(JwsError::Key(why));

    assert_eq!(with(&|it| it["crit"] = json!(["exp"])), Err(JwsError::Critical));
    assert_eq!(with(&|it| it["kid"] = "https://a".into()), Err(JwsError::Signer));
    assert_eq!(with(&|it| it["jwk"] = Value::Null), Err(JwsError::Signer));
    assert_eq!(with(&|it| it["nonce"] = Value::Null), Err(JwsError::Malformed));
    assert_eq!(with(&|it| it["url"] = json!(1)), Err(JwsError::Malformed));
    assert_eq!(with(&|it| it["jwk"]["y"] = x.clone()), key(KeyError::Malformed), "not on the curve");
    assert_eq!(with(&|it| it["jwk"]["x"] = base64(&[7; 31]).into()), key(KeyError::Malformed), "too short");
    assert_eq!(with(&|it| it["jwk"]["x"] = base64(&[0; 600]).into()), key(KeyError::TooLarge));
    assert_eq!(with(&|it| it["jwk"]["crv"] = "P-521".into()), key(KeyError::Unsupported));
    assert_eq!(with(&|it| it["jwk"]["kty"] = "oct".into()), key(KeyError::Unsupported));
    let weak = json!({ "kty": "RSA", "n": base64(&[0xff; 128]), "e": "AQAB" });
    assert_eq!(with(&|it| it["jwk"] = weak.clone()), key(KeyError::Weak));
    assert_eq!(with(&|it| it["jwk"]["d"] = y.clone()), Ok(()), "what is not known is not read");

    for (part, value) in
        [("header", json!({})), ("signatures", json!([])), ("payload", json!({})), ("payload", json!(1))]
    {
        let mut request = good.clone();
        request[part] = value;
        assert_eq!(parse(&request).unwrap_err(), JwsError::Malformed, "{part}");
    }
    for part in ["protected", "payload", "signature"] {
        let mut padded = good.clone();
        padded[part] = format!("{}=", padded[part].as_str().unwrap()).into();
        assert!(parse(&padded).is_err(), "{part}");
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(part);
        assert_eq!(parse(&without).unwrap_err(), JwsError::Malformed, "{part}");
    }
    let twice = good.to_string().replacen('{', "{\"payload\":\"e30\",", 1);
    assert_eq!(Jws::parse(twice.as_bytes()).unwrap_err(), JwsError::Malformed);
    assert_eq!(Jws::parse(&vec![b'['; MAX_LEN]).unwrap_err(), JwsError::Malformed);
    assert_eq!(Jws::parse(&vec![b' '; MAX_LEN + 1]).unwrap_err(), JwsError::TooLarge);
}

#[test]
fn a_nonce_is_known_only_to_who_issued_it() {
    let (ours, other) = (NonceKey::generate().unwrap(), NonceKey::generate().unwrap());
    let nonce = ours.issue(7).unwrap();
    assert_eq!(ours.period(&nonce), Some(7));
    assert_ne!(nonce, ours.issue(7).unwrap());
    assert_eq!(other.period(&nonce), None);
    let changed = format!("{}{}", if nonce.starts_with('B') { 'C' } else { 'B' }, &nonce[1..]);
    for wrong in [changed.as_str(), "", "AAAA", &nonce[..60], &format!("{nonce}AAAA")] {
        assert_eq!(ours.period(wrong), None, "{wrong}");
    }
}

#[test]
fn an_order_is_for_the_one_identifier_of_a_profile() {
    let order = |identifiers: Value| new_order(json!({ "identifiers": identifiers }).to_string().as_bytes());
    let one = json!({ "type": "permanent-identifier", "value": "once" });
    assert_eq!(order(json!([one])).unwrap(), "once");
    let kind = |identifiers| order(identifiers).unwrap_err().kind;
    assert_eq!(kind(json!([])), ProblemKind::UnsupportedIdentifier);
    assert_eq!(kind(json!([one, one])), ProblemKind::UnsupportedIdentifier);
    assert_eq!(kind(json!([{ "type": "dns", "value": "a.test" }])), ProblemKind::UnsupportedIdentifier);
    assert_eq!(kind(json!([{ "type": "permanent-identifier", "value": "" }])), ProblemKind::RejectedIdentifier);
    assert_eq!(kind(json!("once")), ProblemKind::Malformed);
    let dated = json!({ "identifiers": [one], "notAfter": "2099-01-01T00:00:00Z" }).to_string();
    assert_eq!(new_order(dated.as_bytes()).unwrap_err().kind, ProblemKind::Malformed);
    assert_eq!(new_order(b"").unwrap_err().kind, ProblemKind::Malformed);
}

#[test]
fn an_answer_without_an_attestation_and_a_request_without_its_key_are_refused() {
    assert_eq!(answer(br#"{"attObj":"oQ"}"#), Ok(vec![0xa1]));
    assert_eq!(answer(br#"{"attObj":"oQ=="}"#), Ok(vec![0xa1]), "padded, as some do");
    for wrong in ["{}", r#"{"attObj":"!"}"#, r#"{"error":"not supported"}"#] {
        assert_eq!(answer(wrong.as_bytes()).unwrap_err().kind, ProblemKind::BadAttestationStatement, "{wrong}");
    }
    let key = curve_key();
    let request = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    let payload = |der: &[u8]| json!({ "csr": base64(der) }).to_string().into_bytes();
    assert!(finalize(&payload(&request)).is_ok());
    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    for wrong in [payload(&forged), payload(b""), br#"{"csr":"!"}"#.to_vec()] {
        assert_eq!(finalize(&wrong).unwrap_err().kind, ProblemKind::BadCsr);
    }
}
