//! Listings of a bucket's versions, as whoever answers for the bucket may send them.
use holdfast::blob::bucket::versions::Page;

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes([
        r#"<?xml version="1.0" encoding="UTF-8"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix><IsTruncated>true</IsTruncated><NextKeyMarker>p/a</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker><DeleteMarker><Key>p/a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker><Version><Key>p/a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>12</Size><Owner><ID>1</ID></Owner></Version></ListVersionsResult>"#,
        r#"<ListVersionsResult><Version><Key>&lt;a&amp;&#65;&#x42;<![CDATA[<c>]]></Key><VersionId>1</VersionId><Size>0</Size></Version></ListVersionsResult>"#,
        "<ListVersionsResult/>",
    ])
}

pub fn check(value: &[u8]) -> bool {
    let Ok(page) = Page::parse(value) else { return false };
    assert!(page.versions.len() <= 10_000);
    assert!(page.versions.iter().all(|it| !it.key.is_empty() && it.key.len() <= 8 << 10 && !it.id.is_empty()));
    assert!(page.versions.iter().all(|it| !it.is_marker || it.size == 0));
    assert!(page.next.is_none_or(|it| !it.0.is_empty()));
    true
}
