//! What a path at the door names.
//!
//! The path is read as received, without decoding: every valid name has only hex digits, letters and slashes,
//! so a `%`, a `.` or a doubled slash is not another spelling of it but simply wrong.
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Repository,
    Config,
    List(ObjectKind),
    Object(ObjectKind, ObjectName),
}

/// Reads `/restic/{repository}/…`; none for anything else.
///
/// The second value is none if the repository is readable but the rest is not.
pub fn parse(path: &str) -> Option<(RepositoryId, Option<Target>)> {
    let (id, rest) = path.strip_prefix("/restic/")?.split_once('/')?;
    let repository = RepositoryId::parse(id).filter(|it| it.as_str() == id)?;
    Some((repository, target(rest)))
}

fn target(rest: &str) -> Option<Target> {
    match rest.split_once('/') {
        None if rest.is_empty() => Some(Target::Repository),
        None => (rest == "config").then_some(Target::Config),
        Some((kind, name)) => {
            let kind = kind_of(kind)?;
            if name.is_empty() {
                Some(Target::List(kind))
            } else {
                Some(Target::Object(kind, ObjectName::parse(name)?))
            }
        }
    }
}

/// Restic's folders; a device's manifests come through the agent protocol.
fn kind_of(text: &str) -> Option<ObjectKind> {
    match ObjectKind::parse(text)? {
        ObjectKind::Config | ObjectKind::Manifests => None,
        kind
        @ (ObjectKind::Keys | ObjectKind::Data | ObjectKind::Index | ObjectKind::Snapshots | ObjectKind::Locks) => {
            Some(kind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    fn target_of(rest: &str) -> Option<Target> {
        parse(&format!("/restic/{ID}/{rest}")).and_then(|(_, target)| target)
    }

    #[test]
    fn each_path_of_the_protocol_is_read() {
        let name = "ab".repeat(32);
        assert_eq!(target_of(""), Some(Target::Repository));
        assert_eq!(target_of("config"), Some(Target::Config));
        assert_eq!(target_of("keys/"), Some(Target::List(ObjectKind::Keys)));
        let object = Target::Object(ObjectKind::Data, ObjectName::parse(&name).unwrap());
        assert_eq!(target_of(&format!("data/{name}")), Some(object));
    }

    #[test]
    fn no_other_spelling_is_read() {
        let name = "ab".repeat(32);
        let spellings = [
            "..",
            "../",
            "config/",
            "keys",
            "manifests/",
            "config/x",
            "tmp/",
            "data//",
            "data/ab/",
            "DATA/",
            "%64ata/",
            "keys/%2e%2e",
            "./config",
            "//config",
            "data/..%2f..%2fetc%2fpasswd",
            "config%00",
            "config;x",
            "config?x",
        ];
        for spelling in spellings {
            assert_eq!(target_of(spelling), None, "{spelling}");
        }
        for broken in [
            format!("data/{}", name.to_uppercase()),
            format!("data/{name}/"),
            format!("data/ab/{name}"),
            format!("data/{name}0"),
            format!("data/{}", &name[1..]),
            format!("data/../data/{name}"),
            format!("data/{}%61", &name[1..]),
            format!("data\\{name}"),
        ] {
            assert_eq!(target_of(&broken), None, "{broken}");
        }
    }

    #[test]
    fn a_repository_has_one_spelling() {
        for id in [
            ID.to_uppercase(),
            ID.replace('-', ""),
            format!("{{{ID}}}"),
            format!("urn:uuid:{ID}"),
            "..".to_owned(),
            String::new(),
            format!("{ID}%2f"),
            format!("./{ID}"),
        ] {
            assert!(parse(&format!("/restic/{id}/config")).is_none(), "{id}");
        }
        assert!(parse(&format!("/restic/{ID}")).is_none());
        assert!(parse(&format!("//restic/{ID}/")).is_none());
    }

    #[test]
    fn ten_thousand_mutations_of_a_path_never_name_another_object() {
        let name = "0123456789abcdef".repeat(4);
        let path = format!("/restic/{ID}/data/{name}");
        let inserts =
            ["..", "/", "//", "%2f", "%5c", "\\", "%00", "\0", ";", "../", "/..", "%2e%2e", "A", "~", " ", "\u{ff0e}"];
        for at in 0..=path.len() {
            for insert in inserts {
                let mutated = format!("{}{insert}{}", &path[..at], &path[at..]);
                assert_eq!(parse(&mutated).and_then(|(_, target)| target), None, "{mutated}");
            }
        }
    }
}
