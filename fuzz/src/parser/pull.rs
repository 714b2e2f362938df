//! What a puller says of itself, and its answers, as whoever has its token may write them.
use holdfast::blob::pulled::{Done, Hello, frame, unframe};

pub fn seeds() -> Vec<Vec<u8>> {
    let hello = br#"{"session":"abc","worker":0,"hosts":["basel"],"space":[1,2]}"#.to_vec();
    let answers =
        [Done::Yes, Done::Number { number: Some(1) }, Done::Away { cause: "away".to_owned(), why: "x".to_owned() }];
    let framed = answers.map(|it| frame(&it, b"body").expect("an answer can be written"));
    [hello].into_iter().chain(framed).collect()
}

pub fn check(value: &[u8]) -> bool {
    if let Ok(hello) = Hello::parse(value) {
        assert!(hello.worker < 8 && hello.session.len() <= 64 && hello.hosts.len() <= 64);
        return true;
    }
    let Ok((done, body)) = unframe::<Done>(value) else { return false };
    assert!(body.len() < value.len());
    let written = frame(&done, body).expect("what was read can be written");
    assert_eq!(unframe::<Done>(&written).expect("what is written can be read"), (done, body));
    true
}
