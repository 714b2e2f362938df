//! What a proof's process may say to its parent, and what it is told.
use super::ONE;
use domain::object::{ObjectKind, ObjectName};
use domain::restore_test::TestReport;
use holdfast::proof::frame::{FromChild, FromParent};
use holdfast::proof::walk::frame::FromPruner;

pub fn seeds() -> Vec<Vec<u8>> {
    let name = ObjectName::parse(ONE).unwrap();
    let child = [
        FromChild::Read { kind: ObjectKind::Data, name: name.clone(), offset: 0, len: 100 },
        FromChild::Read { kind: ObjectKind::Config, name: ObjectName::config(), offset: 0, len: 100 },
        FromChild::List(ObjectKind::Index),
        FromChild::ListViews(ObjectKind::Data),
        FromChild::Alive,
        FromChild::Done(Box::new(TestReport::unproven("x"))),
    ];
    let pruner = [
        FromPruner::Unneeded(vec![name.clone()]),
        FromPruner::Index(name.clone(), vec![1, 2, 3]),
        FromPruner::Ends(None),
        FromPruner::Ends(Some("chunk abab in no index".to_owned())),
    ];
    let parent = [
        FromParent::Missing,
        FromParent::Unavailable("away".to_owned()),
        FromParent::Listed(vec![(name.clone(), 9)]),
        FromParent::ListedViews(vec![(name, 9, 3)]),
    ];
    let mut sent = Vec::new();
    pruner.iter().for_each(|it| sent.push(sent_by(|out| it.send(out))));
    child.iter().for_each(|it| sent.push(sent_by(|out| it.send(out))));
    parent.iter().for_each(|it| sent.push(sent_by(|out| it.send(out))));
    // Without the length before it.
    sent.into_iter().map(|it| it[4..].to_vec()).collect()
}

fn sent_by(send: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Vec<u8> {
    let mut sent = Vec::new();
    send(&mut sent).unwrap();
    sent
}

pub fn check(body: &[u8]) -> bool {
    let said = FromChild::parse(body);
    if let Some(said) = &said {
        let sent = sent_by(|out| said.send(out));
        assert_eq!(&FromChild::receive(&mut &sent[..]).unwrap(), said);
    }
    // The same bytes, with their first four as the length.
    let _ = FromChild::receive(&mut &body[..]);
    let _ = FromParent::receive(&mut &body[..], Vec::new());
    let told = body.split_first().and_then(|(tag, rest)| FromParent::parse(*tag, rest.to_vec()));
    if let Some(told) = &told {
        let sent = sent_by(|out| told.send(out));
        assert_eq!(&FromParent::receive(&mut &sent[..], Vec::new()).unwrap(), told);
    }
    let pruned = FromPruner::parse(body);
    if let Some(pruned) = &pruned {
        let sent = sent_by(|out| pruned.send(out));
        assert_eq!(&FromPruner::receive(&mut &sent[..]).unwrap(), pruned);
    }
    let _ = FromPruner::receive(&mut &body[..]);
    said.is_some() || told.is_some() || pruned.is_some()
}
