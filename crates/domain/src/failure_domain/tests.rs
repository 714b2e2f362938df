use super::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

/// The backup store: a folder on a disk of this machine.
fn primary() -> SeenFolder {
    SeenFolder {
        path: "/srv/blobs".into(),
        device: 1,
        mount: "/dev/sda1".to_owned(),
        disks: set(&["sda"]),
        hosts: set(&["mdm", "127.0.0.1", "10.0.0.1"]),
    }
}

/// A folder that another machine's disk is mounted on.
fn remote() -> SeenFolder {
    SeenFolder {
        path: "/mnt/nas/copy".into(),
        device: 2,
        mount: "nas:/export".to_owned(),
        disks: set(&[]),
        hosts: set(&["nas", "10.0.0.9"]),
    }
}

fn bucket() -> SeenBucket {
    SeenBucket {
        endpoint: "https://s3.example.com".to_owned(),
        bucket: "holdfast".to_owned(),
        prefix: String::new(),
        access_key: "AKIACOPY".to_owned(),
        hosts: set(&["s3.example.com", "203.0.113.7"]),
    }
}

fn at(location: &str, seen: Seen) -> FailureDomain {
    FailureDomain { location: location.to_owned(), seen }
}

fn folders_at(one: (&str, SeenFolder), other: (&str, SeenFolder)) -> [FailureDomain; 2] {
    [at(one.0, Seen::Folder(one.1)), at(other.0, Seen::Folder(other.1))]
}

fn buckets_at(one: SeenBucket, other: SeenBucket) -> [FailureDomain; 2] {
    [at("Zürich", Seen::Bucket(one)), at("Genève", Seen::Bucket(other))]
}

#[test]
fn stores_that_share_nothing_are_two() {
    let good = [
        folders_at(("Zürich", primary()), ("Genève", remote())),
        [at("Zürich", Seen::Folder(primary())), at("AWS, Frankfurt", Seen::Bucket(bucket()))],
        buckets_at(
            bucket(),
            SeenBucket {
                endpoint: "https://other.example.net".to_owned(),
                access_key: "AKIAOTHER".to_owned(),
                hosts: set(&["other.example.net"]),
                ..bucket()
            },
        ),
    ];
    for [one, other] in good {
        assert_eq!((shared(&one, &other), shared(&other, &one)), (vec![], vec![]));
        assert_eq!(refusal(&shared(&one, &other)), None);
    }
}

type Pair = (&'static str, [FailureDomain; 2], Shared);

/// Each pair differs from two good stores in one thing only.
fn bad_pairs() -> Vec<Pair> {
    [bad_folders(), bad_buckets(), bad_places()].concat()
}

fn bad_folders() -> Vec<Pair> {
    let other = |change: &dyn Fn(&mut SeenFolder)| {
        let mut other = remote();
        change(&mut other);
        folders_at(("Zürich", primary()), ("Genève", other))
    };
    let inside = |inner: &str, outer: &str| Shared::Inside(inner.into(), outer.into());
    vec![
        // A symbolic link, and a second name, are resolved before they come here.
        ("the same folder", other(&|it| it.path = "/srv/blobs".into()), Shared::Folder("/srv/blobs".into())),
        (
            "the copy inside the store",
            other(&|it| it.path = "/srv/blobs/copy".into()),
            inside("/srv/blobs/copy", "/srv/blobs"),
        ),
        ("the store inside the copy", other(&|it| it.path = "/srv".into()), inside("/srv/blobs", "/srv")),
        ("the same file system", other(&|it| it.device = 1), Shared::Device(1)),
        (
            "two subvolumes of one mounted disk",
            other(&|it| it.mount = "/dev/sda1".to_owned()),
            Shared::Mount("/dev/sda1".to_owned()),
        ),
        ("two partitions of one disk", other(&|it| it.disks = set(&["sda"])), Shared::Disk("sda".to_owned())),
        ("two disks of one machine", other(&|it| it.hosts = set(&["mdm"])), Shared::Host("mdm".to_owned())),
        (
            "a file server that is this machine, by its address",
            other(&|it| it.hosts = set(&["nas", "10.0.0.1"])),
            Shared::Host("10.0.0.1".to_owned()),
        ),
    ]
}

fn bad_buckets() -> Vec<Pair> {
    let elsewhere = |change: &dyn Fn(&mut SeenBucket)| {
        let mut other = SeenBucket {
            endpoint: "https://other.example.net".to_owned(),
            access_key: "AKIAOTHER".to_owned(),
            hosts: set(&["other.example.net"]),
            ..bucket()
        };
        change(&mut other);
        buckets_at(bucket(), other)
    };
    let here = SeenBucket { hosts: set(&["localhost", "127.0.0.1"]), ..bucket() };
    let same = |it: &mut SeenBucket| it.endpoint = "https://S3.example.com".to_owned();
    let part = |it: &mut SeenBucket| {
        same(it);
        it.prefix = "copy/two".to_owned();
    };
    let second = |it: &mut SeenBucket| {
        it.bucket = "second".to_owned();
        it.hosts = set(&["203.0.113.7"]);
    };
    let [keys, key] = [Shared::Keys("holdfast".to_owned()), Shared::Credentials("AKIACOPY".to_owned())];
    vec![
        (
            "a bucket that this machine answers for",
            [at("Zürich", Seen::Folder(primary())), at("AWS", Seen::Bucket(here))],
            Shared::Host("127.0.0.1".to_owned()),
        ),
        ("one bucket twice", elsewhere(&same), keys.clone()),
        ("one bucket, one prefix inside the other", elsewhere(&part), keys),
        ("the same credentials", elsewhere(&|it| it.access_key = "AKIACOPY".to_owned()), key),
        ("two buckets of one machine", elsewhere(&second), Shared::Host("203.0.113.7".to_owned())),
    ]
}

fn bad_places() -> Vec<Pair> {
    let at = |one: &'static str, other: &'static str| folders_at((one, primary()), (other, remote()));
    vec![
        (
            "the same site, written differently",
            at("Zürich, cellar", " zürich, Cellar"),
            Shared::Location("Zürich, cellar".to_owned()),
        ),
        ("nobody said where the backup store stands", at("", "Genève"), Shared::NoLocation),
        ("nobody said where the copy stands", at("Zürich", " "), Shared::NoLocation),
    ]
}

#[test]
fn d1_a_store_is_not_its_own_replica() {
    let pairs = bad_pairs();
    assert!(pairs.len() >= 12, "{}", pairs.len());
    for (what, [one, other], expected) in pairs {
        let found = shared(&one, &other);
        assert_eq!(found, std::slice::from_ref(&expected), "{what}");
        let turned = shared(&other, &one);
        assert_eq!(turned.len(), 1, "{what}: {turned:?}");
        let said = refusal(&found).unwrap();
        assert!(said.contains(&expected.sentence()) && said.contains(expected.advice()), "{what}: {said}");
    }
}

#[test]
fn d1_each_reason_has_its_own_words() {
    let mut sentences = BTreeSet::new();
    for (what, _, shared) in bad_pairs() {
        assert!(shared.sentence().len() > 15 && shared.advice().ends_with('.'), "{what}");
        sentences.insert(shared.sentence());
    }
    assert!(sentences.len() >= 11, "{sentences:?}");
}

#[test]
fn d1_everything_that_two_stores_share_is_said_at_once() {
    let [one, other] = folders_at(("Zürich", primary()), ("Zürich", primary()));
    let found = shared(&one, &other);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found.iter().filter(|it| it.is_itself()).count() == 1, "{found:?}");
    let said = refusal(&found).unwrap();
    for it in &found {
        assert!(said.contains(&it.sentence()), "{said}");
    }
}

#[test]
fn only_the_same_bytes_are_no_copy_at_all() {
    for (what, _, shared) in bad_pairs() {
        let is_itself = ["the same folder", "inside", "bucket twice"].iter().any(|it| what.contains(it));
        assert_eq!(shared.is_itself(), is_itself, "{what}");
    }
    let apart = |prefix: &str| SeenBucket { prefix: prefix.to_owned(), access_key: prefix.to_owned(), ..bucket() };
    let [one, other] = buckets_at(apart("first"), apart("firstly"));
    assert!(shared(&one, &other).contains(&Shared::Bucket("holdfast".to_owned())), "a prefix ends at a slash");
}

#[test]
fn a_store_has_a_name_for_people() {
    assert_ne!(StoreKind::Folder.name(), StoreKind::Bucket.name());
}

#[test]
fn a_store_says_where_it_is_and_who_could_take_it_away() {
    let [folder, _] = folders_at(("Zürich", primary()), ("Genève", remote()));
    assert_eq!(
        (folder.place(), folder.administration()),
        ("/srv/blobs".to_owned(), "whoever administers mdm".to_owned())
    );
    let [whole, part] = buckets_at(bucket(), SeenBucket { prefix: "a/b".to_owned(), ..bucket() });
    assert_eq!(whole.place(), "s3://holdfast at https://s3.example.com");
    assert_eq!(part.place(), "s3://holdfast/a/b at https://s3.example.com");
    assert_eq!(whole.administration(), "the account of the access key AKIACOPY at https://s3.example.com");
    let nameless = at("Zürich", Seen::Folder(SeenFolder { hosts: set(&["10.0.0.1"]), ..primary() }));
    assert_eq!(nameless.administration(), "whoever administers 10.0.0.1");
}
