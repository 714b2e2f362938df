use super::*;
use crate::blob;
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use object_store::memory::InMemory;
use std::io::Read;
use std::net::TcpListener;

const PATIENT: Patience = Patience { call: Duration::from_secs(20), bytes_per_second: 1 << 20 };

fn bucket() -> Bucket {
    Bucket::over(Arc::new(InMemory::new()), "copies", "mdm", PATIENT).unwrap()
}

fn repository() -> RepositoryId {
    RepositoryId::generate(Time::from_millis(1_795_356_371_000))
}

fn key(bytes: &[u8]) -> BlobKey {
    BlobKey::new(repository(), ObjectKind::Data, ObjectName::from_hash(&secret::sha256(bytes)))
}

fn identity(server: &str) -> Identity {
    Identity { server: server.to_owned(), database: "d".to_owned(), copy: Some("c".to_owned()) }
}

fn put(blobs: &BucketBlobs, key: &BlobKey, bytes: &[u8]) -> Result<(), WriteFault> {
    let mut upload = blobs.begin(key)?;
    upload.write(bytes)?;
    upload.commit()?.settle();
    Ok(())
}

#[test]
fn what_was_put_is_read_and_listed_and_nothing_is_removed() {
    let blobs = bucket().unnamed();
    let key = key(b"some bytes");
    assert_eq!((blobs.size(&key), blobs.read(&key, 0, 1)), (Ok(None), Err(ReadFault::Lost)));

    put(&blobs, &key, b"some bytes").unwrap();

    assert_eq!(blobs.size(&key).unwrap(), Some(10));
    for (offset, len, expected) in [(5, 3, &b"byt"[..]), (5, 300, b"bytes"), (50, 3, b""), (10, 1, b""), (0, 0, b"")] {
        assert_eq!(blobs.read(&key, offset, len).unwrap(), expected, "{offset} {len}");
    }
    assert_eq!(Some(blob::sha256_of(&blobs, &key).unwrap()), key.name.hash());
    assert_eq!(blobs.list(key.repository).unwrap(), [(key.clone(), 10)]);
    assert_eq!(blobs.list(repository()).unwrap(), []);
    assert!(blobs.remove(&key).is_err());
    assert_eq!(blobs.size(&key).unwrap(), Some(10));
    assert!(blobs.unsettled().unwrap().is_empty());
    blobs.make_durable(&key).unwrap();
}

#[test]
fn a_put_never_overwrites_and_a_replacement_does() {
    let blobs = bucket().unnamed();
    let key = key(b"name");
    put(&blobs, &key, b"first").unwrap();

    assert_eq!(put(&blobs, &key, b"second"), Err(WriteFault::Taken));
    assert_eq!(blobs.read(&key, 0, 99).unwrap(), b"first");
    let mut again = blobs.begin(&key).unwrap();
    again.write(b"the ").unwrap();
    again.write(b"last").unwrap();
    again.replace().unwrap().settle();
    assert_eq!(blobs.read(&key, 0, 99).unwrap(), b"the last");
}

#[test]
fn a_bucket_is_marked_only_while_nothing_is_known_to_be_in_it() {
    let bucket = bucket();
    let fault = bucket.open(&identity("s"), Opening::Known).unwrap_err();
    assert_eq!(fault.cause, AwayCause::Away, "{fault}");
    bucket.open(&identity("s"), Opening::New).unwrap().check().unwrap();
    bucket.open(&identity("s"), Opening::Known).unwrap();

    for opening in [Opening::New, Opening::Known] {
        let fault = bucket.open(&identity("t"), opening).unwrap_err();
        assert_eq!(fault.cause, AwayCause::Foreign, "{fault}");
    }
    let old = bucket.open(&identity("s"), Opening::Known).unwrap();
    bucket.open(&identity("t"), Opening::Adopted).unwrap().check().unwrap();
    assert_eq!(old.check().unwrap_err().cause, AwayCause::Foreign, "it is noticed while it is used");
    let missing = key(b"missing");
    assert!(matches!(old.read(&missing, 0, 1), Err(ReadFault::Away(_))), "and nothing counts as missing");
    assert!(matches!(old.size(&missing), Err(ReadFault::Away(_))));
    assert!(matches!(old.list(repository()), Err(ReadFault::Away(_))));
}

#[test]
fn backups_without_a_marker_are_not_taken_for_an_empty_bucket() {
    let bucket = bucket();
    put(&bucket.unnamed(), &key(b"pack"), b"pack").unwrap();
    let fault = bucket.open(&identity("s"), Opening::New).unwrap_err();
    assert_eq!(fault.cause, AwayCause::Foreign, "{fault}");
    bucket.open(&identity("s"), Opening::Adopted).unwrap();
}

#[test]
fn more_than_an_object_may_have_is_not_kept_in_memory() {
    let blobs = bucket().unnamed();
    let key = BlobKey::new(repository(), ObjectKind::Snapshots, ObjectName::from_hash(&[0; 32]));
    let mut upload = blobs.begin(&key).unwrap();
    upload.write(&vec![0; 1 << 20]).unwrap();
    assert!(upload.write(&[0]).is_err());
}

fn access(endpoint: &str) -> Access {
    let word = |it: &str| it.to_owned();
    Access {
        endpoint: word(endpoint),
        bucket: word("copies"),
        prefix: String::new(),
        region: word("us-east-1"),
        access_key: word("AKIA"),
        secret_key: word("very secret"),
    }
}

#[test]
fn a_bucket_that_never_answers_or_that_nobody_answers_for_is_silent() {
    let patience = Patience { call: Duration::from_millis(300), bytes_per_second: 1 << 30 };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // Takes every connection, and says nothing.
    std::thread::spawn(move || {
        let taken: Vec<_> = listener.incoming().map_while(Result::ok).collect();
        drop(taken);
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for endpoint in [address, nobody] {
        let blobs = Bucket::new(&access(&endpoint), patience).unwrap().unnamed();
        let cause = |fault: ReadFault| match fault {
            ReadFault::Away(fault) => fault.cause,
            ReadFault::Lost | ReadFault::Unreadable(_) => panic!("it says that an object is damaged"),
        };
        assert_eq!(cause(blobs.read(&key(b"x"), 0, 1).unwrap_err()), AwayCause::Silent, "{endpoint}");
        assert_eq!(cause(blobs.size(&key(b"x")).unwrap_err()), AwayCause::Silent, "{endpoint}");
        assert_eq!(blobs.check().unwrap_err().cause, AwayCause::Silent, "{endpoint}");
        let put = put(&blobs, &key(b"x"), b"x").unwrap_err();
        assert!(matches!(&put, WriteFault::Away(fault) if fault.cause == AwayCause::Silent), "{put:?}");
    }
}

/// Answers every request alike, and hands out what it was sent.
fn answers(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it == 1) {
                head.push(byte[0]);
            }
            let _ = sender.send(String::from_utf8_lossy(&head).to_ascii_lowercase());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, receiver)
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NO_BUCKET: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 33\r\nConnection: close\r\n\r\n\
                         <Error><Code>NoSuchBucket</Code>\n";

#[test]
fn a_key_that_is_not_let_in_and_a_bucket_that_is_gone_say_nothing_about_objects() {
    for (answer, expected) in [(FORBIDDEN, AwayCause::Unreadable), (NO_BUCKET, AwayCause::Away)] {
        let blobs = Bucket::new(&access(&answers(answer).0), PATIENT).unwrap();
        let blobs = BucketBlobs { bucket: blobs, identity: Some(identity("s")) };
        assert_eq!(blobs.check().unwrap_err().cause, expected);
        let read = blobs.read(&key(b"x"), 0, 1).unwrap_err();
        assert!(matches!(&read, ReadFault::Away(fault) if fault.cause == expected), "{read:?}");
    }
    let refused = put(&Bucket::new(&access(&answers(FORBIDDEN).0), PATIENT).unwrap().unnamed(), &key(b"x"), b"x");
    assert!(matches!(refused, Err(WriteFault::Stopped(domain::ground::StopCause::Refused, _))), "{refused:?}");
}

#[test]
fn an_object_is_sent_with_its_hash_and_only_where_nothing_is() {
    use base64::Engine;
    let (address, heads) = answers("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let blobs = Bucket::new(&access(&address), PATIENT).unwrap().unnamed();

    put(&blobs, &key(b"x"), b"x").unwrap();

    let head = heads.recv().unwrap();
    let hash = base64::prelude::BASE64_STANDARD.encode(secret::sha256(b"x")).to_ascii_lowercase();
    assert!(head.starts_with("put /copies/"), "{head}");
    assert!(head.contains("if-none-match: *") && head.contains(&format!("x-amz-checksum-sha256: {hash}")), "{head}");
    assert!(!head.contains("very secret"), "{head}");
}

/// An answer with a body of its own.
fn with_body(body: &str) -> &'static str {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    Box::leak(format!("{head}{body}").into_boxed_str())
}

fn listing(answer: &'static str) -> Result<usize, StoreFault> {
    let (mut keys, bucket) = (0, Bucket::new(&access(&answers(answer).0), PATIENT).unwrap());
    let listed = bucket.histories(&mut |_| {
        keys += 1;
        Ok::<_, StoreFault>(())
    });
    listed.map(|()| keys)
}

#[test]
fn a_listing_of_versions_that_is_hostile_ends_and_says_why() {
    let page = |rest: &str| with_body(&format!("<ListVersionsResult>{rest}</ListVersionsResult>"));
    let version = |key: &str, is_latest: bool| {
        format!(
            "<Version><Key>{key}</Key><VersionId>1</VersionId><IsLatest>{is_latest}</IsLatest><Size>1</Size></Version>"
        )
    };
    assert_eq!(listing(page(&version("a", true))), Ok(1));
    assert_eq!(listing(page("")), Ok(0));
    let endless = "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>";
    let older = version("a", false);
    let long = "x".repeat(9 << 20);
    for (answer, expected) in [
        (page(endless), "its listing goes in circles"),
        (page("<IsTruncated>true</IsTruncated>"), "it does not say where"),
        (page(&older), "its versions are in no order"),
        (with_body(&format!("<!DOCTYPE x [<!ENTITY y 'z'>]>{older}")), "it declares a document type"),
        (with_body(&long), "its answer is too long"),
        (with_body("<ListVersionsResult>"), "it ends too early"),
        (with_body("{}"), "it is no listing of versions"),
        (FORBIDDEN, "grant s3:ListBucketVersions"),
        (NO_BUCKET, "is not there"),
    ] {
        let fault = listing(answer).unwrap_err();
        assert!(fault.why.contains(expected), "{expected}: {fault}");
    }
    let nowhere = bucket().histories(&mut |_| Ok::<_, StoreFault>(())).unwrap_err();
    assert!(nowhere.why.contains("no bucket of an S3 server"), "{nowhere}");
}

#[test]
fn what_a_bucket_does_not_tell_is_unknown_and_says_what_to_grant() {
    let now = Time::from_millis(1_795_356_371_000);
    let found = |answer| Bucket::new(&access(&answers(answer).0), PATIENT).unwrap().protection(now);
    let refused = found(FORBIDDEN);
    assert_eq!((refused.versions, refused.rule, refused.deleted), (None, None, None));
    assert!(refused.untold.contains("s3:GetBucketObjectLockConfiguration"), "{refused:?}");
    let rubbish = found(with_body("<a><Status>Perhaps</Status><Mode>SOMEHOW</Mode><Days>30</Days></a>"));
    assert_eq!((rubbish.versions, rubbish.rule), (Some(false), None));
    assert_eq!(rubbish.deleted, Some(true), "what could be deleted was not refused");
}

/// Answers each request by what it asks for, and hands out its first line.
fn serves(answer: impl Fn(&str) -> String + Send + 'static) -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let line = head.lines().next().unwrap_or_default().to_owned();
            let said = answer(&line);
            let _ = sender.send(line);
            let _ = stream.write_all(said.as_bytes());
        }
    });
    (address, receiver)
}

#[test]
fn where_the_access_key_may_not_remove_a_marker_the_object_is_sent_again() {
    let key = key(b"pack");
    let name = format!("{}/data/{}/{}", key.repository, &key.name.as_str()[..2], key.name);
    let listing = with_body(&format!(
        "<ListVersionsResult><DeleteMarker><Key>{name}</Key><VersionId>m</VersionId><IsLatest>true</IsLatest>\
         </DeleteMarker><Version><Key>{name}</Key><VersionId>v</VersionId><IsLatest>false</IsLatest><Size>4</Size>\
         </Version></ListVersionsResult>"
    ));
    let (address, lines) = serves(move |line| match line.split(' ').next() {
        Some("DELETE") => FORBIDDEN.to_owned(),
        Some("PUT") => "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        _ if line.contains("versions=") => listing.to_owned(),
        _ => "HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\n\
              Connection: close\r\n\r\npack"
            .to_owned(),
    });
    let bucket = Bucket::new(&access(&address), PATIENT).unwrap();

    let looked = bucket.undelete(true, &|_| {}).unwrap();
    assert_eq!((looked.hidden, looked.mended), (1, 0));
    assert!(lines.try_iter().all(|it| it.starts_with("GET")), "a look changes nothing");

    let done = bucket.undelete(false, &|_| {}).unwrap();

    assert_eq!((done.hidden, done.mended, done.sent, done.is_whole()), (1, 1, 1, true));
    let asked: Vec<_> = lines.try_iter().collect();
    assert!(asked.iter().any(|it| it.starts_with("DELETE") && it.contains("versionId=m")), "{asked:?}");
    assert!(asked.iter().any(|it| it.starts_with("GET") && it.contains("versionId=v")), "{asked:?}");
    assert!(asked.last().unwrap().starts_with("PUT"), "{asked:?}");
    assert!(!asked.iter().any(|it| it.starts_with("DELETE") && it.contains("versionId=v")), "no version is deleted");
}
