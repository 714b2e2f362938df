//! What the process that looks inside restore points says.
use holdfast::content::message::{self, End, GoesOn, Head, Hits, Said};

pub fn seeds() -> Vec<Vec<u8>> {
    let mut sent = vec![Vec::new(); 6];
    if let [head, part, away, damaged, hits, has] = sent.as_mut_slice() {
        message::head(head, &Head { name: "a%0Ab".to_owned(), size: Some(7) }).unwrap();
        message::part(part, b"bytes of a file").unwrap();
        message::end(away, &End::Away("disk".to_owned())).unwrap();
        message::end(damaged, &End::Damaged { path: "/a".to_owned(), why: "x".to_owned() }).unwrap();
        let goes_on = Some(GoesOn { from: "3.17".to_owned(), path: "/a".to_owned() });
        message::end(hits, &End::Hits(Hits { goes_on, ..Hits::default() })).unwrap();
        message::end(has, &End::Has(vec![Some(true), None])).unwrap();
    }
    // Without the length before it.
    sent.into_iter().map(|it| it[4..].to_vec()).collect()
}

pub fn check(body: &[u8]) -> bool {
    // The same bytes, with their first four as the length.
    let _ = Said::receive(&mut &body[..]);
    let Some(said) = Said::parse(body.to_vec()) else { return false };
    let mut sent = Vec::new();
    match &said {
        Said::Asked(it) => it.send(&mut sent).unwrap(),
        Said::Head(it) => message::head(&mut sent, it).unwrap(),
        Said::Part(it) => message::part(&mut sent, it).unwrap(),
        Said::End(it) => message::end(&mut sent, it).unwrap(),
    }
    assert_eq!(Said::receive(&mut &sent[..]).unwrap(), said);
    true
}
