//! What a bucket has under each key, with what was there before: every version, and every marker that hides them.
use super::Bucket;
use super::fault::CallFault;
use super::request::Request;
use super::xml::{self, Part, XmlFault};
use crate::blob::StoreFault;
use object_store::path::Path;
use object_store::signer::Method;
use std::collections::HashSet;

/// How many versions a page may have: more than any bucket sends.
const PAGE: usize = 10_000;

/// How many pages a listing may have, of 1,000 versions each.
const PAGES: usize = 1_000_000;

/// How many of the oldest versions of one key are kept, and how many of the newest: whoever may put can put many, but
/// not before the first.
const OLDEST: usize = 4_096;
const NEWEST: usize = 4_096;

/// One version of what is at a key, or a marker that says that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub key: String,
    pub id: String,
    pub is_latest: bool,
    /// Whether it is a marker, which has no bytes.
    pub is_marker: bool,
    pub size: u64,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub versions: Vec<Version>,
    /// Where the next one begins: a key, and a version of it. None if this was the last.
    pub next: Option<(String, String)>,
}

/// A version that is being read.
#[derive(Default)]
struct Draft {
    is_marker: bool,
    key: Option<String>,
    id: Option<String>,
    is_latest: bool,
    size: Option<u64>,
}

impl Draft {
    fn take(&mut self, name: &str, text: &str) -> Result<(), XmlFault> {
        match name {
            "Key" => self.key = Some(text.to_owned()),
            "VersionId" => self.id = Some(text.to_owned()),
            "IsLatest" => self.is_latest = text.trim() == "true",
            "Size" => self.size = Some(text.trim().parse().map_err(|_digits| XmlFault("a size is no number"))?),
            _ => {}
        }
        Ok(())
    }

    fn done(self) -> Result<Version, XmlFault> {
        let missing = XmlFault("a version has no key, no id or no size");
        let size = if self.is_marker { Some(0) } else { self.size };
        let (Some(key), Some(id), Some(size)) = (self.key, self.id, size) else { return Err(missing) };
        if key.is_empty() || id.is_empty() {
            return Err(missing);
        }
        Ok(Version { key, id, is_latest: self.is_latest, is_marker: self.is_marker, size })
    }
}

impl Page {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is no listing of versions, is too large, or says that there is more and not where.
    pub fn parse(answer: &[u8]) -> Result<Self, XmlFault> {
        let (mut page, mut draft, mut is_listing) = (Self::default(), None::<Draft>, false);
        let (mut is_cut, mut key, mut id) = (false, None, None);
        xml::read(answer, &mut |part| {
            match part {
                Part::Begins("ListVersionsResult", 0) => is_listing = true,
                Part::Begins(name @ ("Version" | "DeleteMarker"), 1) => {
                    draft = Some(Draft { is_marker: name == "DeleteMarker", ..Draft::default() });
                }
                Part::Ends("Version" | "DeleteMarker", 1, _) => {
                    if page.versions.len() == PAGE {
                        return Err(XmlFault("a page has too many versions"));
                    }
                    page.versions.push(draft.take().unwrap_or_default().done()?);
                }
                Part::Ends(name, 2, text) => {
                    if let Some(draft) = &mut draft {
                        draft.take(name, text)?;
                    }
                }
                Part::Ends("IsTruncated", 1, text) => is_cut = text.trim() == "true",
                Part::Ends("NextKeyMarker", 1, text) => key = Some(text.to_owned()),
                Part::Ends("NextVersionIdMarker", 1, text) => id = Some(text.to_owned()),
                Part::Begins(..) | Part::Ends(..) => {}
            }
            Ok(())
        })?;
        if !is_listing {
            return Err(XmlFault("it is no listing of versions"));
        }
        page.next = match (is_cut, key) {
            (false, _) => None,
            (true, Some(key)) if !key.is_empty() => Some((key, id.unwrap_or_default())),
            (true, _) => return Err(XmlFault("there is more, and it does not say where")),
        };
        Ok(page)
    }
}

/// All versions of one key that are kept, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub versions: Vec<Version>,
}

impl History {
    /// Adds an older one. Of very many, those in the middle are left out.
    fn push(&mut self, version: Version) {
        if self.versions.len() == NEWEST + OLDEST {
            self.versions.remove(NEWEST);
        }
        self.versions.push(version);
    }

    /// The key that all of them lie at.
    pub fn key(&self) -> &str {
        self.versions.first().map_or("", |it| &it.key)
    }

    /// Whether a marker hides what is there.
    pub fn is_hidden(&self) -> bool {
        self.versions.first().is_some_and(|it| it.is_marker)
    }

    /// Those that have bytes, newest first.
    pub fn with_bytes(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(|it| !it.is_marker)
    }
}

impl Bucket {
    /// Hands the history of each key below the prefix to `take`, one key after the other.
    ///
    /// # Errors
    /// When the bucket cannot be listed, answers what is no listing, or never comes to an end; what `take` says.
    pub fn histories<E: From<StoreFault>>(&self, take: &mut dyn FnMut(History) -> Result<(), E>) -> Result<(), E> {
        let (mut from, mut history, mut seen) = (None, History::default(), HashSet::new());
        for _ in 0..PAGES {
            let Page { versions, next } = self.page(from.as_ref())?;
            for version in versions {
                if !history.versions.is_empty() && history.key() != version.key {
                    take(std::mem::take(&mut history))?;
                }
                // What is older than another version of the same key comes right after it.
                if history.versions.is_empty() != version.is_latest {
                    return Err(self.unlistable("its versions are in no order").into());
                }
                history.push(version);
            }
            let Some(next) = next else {
                return if history.versions.is_empty() { Ok(()) } else { take(history) };
            };
            if !seen.insert(next.clone()) {
                return Err(self.unlistable("its listing goes in circles").into());
            }
            from = Some(next);
        }
        Err(self.unlistable("its listing never ends").into())
    }

    fn page(&self, from: Option<&(String, String)>) -> Result<Page, StoreFault> {
        let root = self.0.place.prefix();
        let mut query = vec![("versions", ""), ("prefix", root)];
        if let Some((key, id)) = from {
            query.push(("key-marker", key));
            if !id.is_empty() {
                query.push(("version-id-marker", id));
            }
        }
        let answer = self.ask(Request::new(Method::GET, Path::default(), &query));
        let answer = answer.map_err(|fault| {
            if let CallFault::Forbidden(why) = &fault {
                return self.unlistable(&format!(
                    "its versions cannot be listed ({why}): grant s3:ListBucketVersions to the access key, or use the \
                     account owner’s"
                ));
            }
            fault.of_store(&self.0.place)
        })?;
        Page::parse(&answer).map_err(|fault| self.unlistable(&fault.to_string()))
    }

    fn unlistable(&self, why: &str) -> StoreFault {
        let why = format!("{}: {why}", self.0.place);
        StoreFault { cause: domain::ground::AwayCause::Unreadable, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_OF_TWO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>copies</Name><Prefix>mdm/</Prefix>
<KeyMarker/><VersionIdMarker/><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>
<NextKeyMarker>mdm/a</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
<DeleteMarker><Key>mdm/a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><Owner><ID>1</ID></Owner></DeleteMarker>
<Version><Key>mdm/a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>12</Size>
<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner></Version></ListVersionsResult>"#;

    fn version(key: &str, id: &str, is_marker: bool) -> Version {
        Version {
            key: key.to_owned(),
            id: id.to_owned(),
            is_latest: is_marker,
            is_marker,
            size: if is_marker { 0 } else { 12 },
        }
    }

    #[test]
    fn a_page_says_what_is_there_and_where_the_next_begins() {
        let page = Page::parse(PAGE_OF_TWO.as_bytes()).unwrap();
        assert_eq!(page.versions, [version("mdm/a", "v2", true), version("mdm/a", "v1", false)]);
        assert_eq!(page.next, Some(("mdm/a".to_owned(), "v1".to_owned())));
        let last = PAGE_OF_TWO.replace("<IsTruncated>true", "<IsTruncated>false");
        assert_eq!(Page::parse(last.as_bytes()).unwrap().next, None);
    }

    #[test]
    fn what_is_no_whole_listing_is_refused() {
        let refused = |text: &str| Page::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("<ListBucketResult/>").contains("no listing of versions"));
        assert!(refused("").contains("no listing of versions"));
        let nowhere = PAGE_OF_TWO.replace("<NextKeyMarker>mdm/a</NextKeyMarker>", "");
        assert!(refused(&nowhere).contains("it does not say where"));
        for (part, other) in [("<Size>12", "<Size>-1"), ("<Size>12</Size>", ""), ("<Key>mdm/a</Key>", "")] {
            assert!(!refused(&PAGE_OF_TWO.replace(part, other)).is_empty());
        }
        for cut in 1..PAGE_OF_TWO.len() - 1 {
            assert!(Page::parse(&PAGE_OF_TWO.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        let one = "<Version><Key>a</Key><VersionId>1</VersionId><Size>1</Size></Version>";
        let many = format!("<ListVersionsResult>{}</ListVersionsResult>", one.repeat(PAGE + 1));
        assert!(refused(&many).contains("too many"));
    }

    #[test]
    fn of_very_many_versions_the_first_ones_are_kept() {
        let mut history = History::default();
        for at in 0..50_000 {
            history.push(version("k", &at.to_string(), false));
        }
        let ids: Vec<_> = history.with_bytes().map(|it| it.id.as_str()).collect();
        assert_eq!((ids.len(), ids.first(), ids.last()), (OLDEST + NEWEST, Some(&"0"), Some(&"49999")));
    }
}
