use super::*;

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">"#;

fn xml(body: &str) -> Vec<u8> {
    format!("{HEAD}<plist version=\"1.0\">{body}</plist>").into_bytes()
}

fn nested(depth: usize) -> Vec<u8> {
    xml(&format!("<dict><key>a</key>{}{}</dict>", "<array>".repeat(depth), "</array>".repeat(depth)))
}

fn binary(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_binary(&mut bytes).unwrap();
    bytes
}

#[test]
fn values_are_read_by_their_kind_and_never_as_another() {
    let bytes =
        xml("<dict><key>a</key><string>x &amp; &#228;</string><key>b</key><true/><key>c</key><integer>7</integer>\
         <key>d</key><data>AAEC</data><key>e</key><real>0.5</real><key>f</key><string>false</string>\
         <key>g</key><array><string>1</string></array><key>h</key><dict/></dict>");
    let read = read(&bytes).unwrap();
    assert_eq!((read.text("a"), read.flag("b"), read.number("c")), (Some("x & ä"), Some(true), Some(7)));
    assert_eq!((read.data("d"), read.real("e"), read.real("c")), (Some(&[0, 1, 2][..]), Some(0.5), Some(7.0)));
    assert_eq!((read.flag("f"), read.flag("a"), read.number("a"), read.text("c")), (Some(false), None, None, None));
    assert_eq!(
        (read.list("g").len(), read.list("a").len(), read.dictionary("h").map(Dictionary::len)),
        (1, 0, Some(0))
    );
}

#[test]
fn a_binary_one_says_the_same() {
    let bytes = xml(
        "<dict><key>a</key><array><string>x</string><string>x</string></array><key>b</key><date>2026-11-30T10:00:00Z</date></dict>",
    );
    let said = read(&bytes).unwrap();
    assert_eq!(read(&binary(&Value::Dictionary(said.clone()))).unwrap(), said);
}

#[test]
fn what_is_no_dictionary_or_not_whole_is_refused() {
    for bad in [
        Vec::new(),
        b"null".to_vec(),
        xml(""),
        xml("<array/>"),
        xml("<dict><key>a</key></dict>"),
        xml("<dict><string>a</string>"),
        xml("<dict/>").repeat(2),
        xml("<dict><key>a</key><unknown/></dict>"),
        xml("<dict><key>a</key><data>*</data></dict>"),
        xml("<dict><key>a</key><date>soon</date></dict>"),
        xml("<dict><key>a</key><integer>99999999999999999999999</integer></dict>"),
        b"bplist00".to_vec(),
        binary(&Value::Array(Vec::new())),
    ] {
        assert!(read(&bad).is_err(), "{}", bad.escape_ascii());
    }
    let whole = xml("<dict><key>a</key><string>b</string></dict>");
    for end in 0..whole.len() - "</plist>".len() {
        assert!(read(&whole[..end]).is_err(), "the first {end} bytes");
    }
}

#[test]
fn a_document_type_of_its_own_is_refused_whatever_it_would_become() {
    let laughs: String =
        (1..9).map(|it| format!("<!ENTITY l{it} \"{}\">", format!("&l{};", it - 1).repeat(10))).collect();
    for bad in [
        format!("<!DOCTYPE plist [<!ENTITY l0 \"lol\">{laughs}]><plist><dict><key>a</key><string>&l8;</string></dict></plist>"),
        "<!DOCTYPE plist [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><plist><dict><key>a</key><string>&x;</string></dict></plist>"
            .to_owned(),
        "<plist><dict><key>a</key><string>&x;</string></dict></plist>".to_owned(),
    ] {
        assert_eq!(read(bad.as_bytes()), Err(PlistFault::OwnDocumentType), "{bad}");
    }
}

#[test]
fn what_is_deep_wide_or_long_is_refused_before_anything_is_built() {
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(read(&nested(MAX_DEPTH)), Err(PlistFault::TooDeep));
    assert_eq!(read(&nested(60_000)), Err(PlistFault::TooDeep));
    let wide = xml(&format!("<dict><key>a</key><array>{}</array></dict>", "<true/>".repeat(MAX_VALUES)));
    assert_eq!(read(&wide), Err(PlistFault::TooMany));
    assert_eq!(read(&vec![b' '; MAX_BYTES + 1]), Err(PlistFault::TooLong));
    let attributes: String = (0..50_000).map(|it| format!(" a{it}=\"\"")).collect();
    assert!(matches!(read(&xml(&format!("<dict{attributes}/>"))), Err(PlistFault::Syntax(_))));
}

/// A list of two references to the next, `depth` times: twice as many values with each.
fn doubling(depth: u8) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = vec![bytes.len()];
    // The root is a dictionary with one key.
    bytes.extend([0xd1, 1, 2]);
    offsets.push(bytes.len());
    bytes.extend([0x51, b'a']);
    for it in 0..depth {
        offsets.push(bytes.len());
        bytes.extend([0xa2, it + 3, it + 3]);
    }
    offsets.push(bytes.len());
    bytes.extend([0x09]);
    let (table, count) = (bytes.len(), offsets.len());
    bytes.extend(offsets.iter().map(|it| u8::try_from(*it).unwrap_or(0)));
    bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [count, 0, table] {
        bytes.extend((number as u64).to_be_bytes());
    }
    bytes
}

#[test]
fn few_bytes_do_not_become_many() {
    assert!(read(&doubling(1)).is_ok(), "a text may stand twice");
    assert_eq!(read(&doubling(30)), Err(PlistFault::Syntax("a value that stands twice".to_owned())));
    assert!(read(&doubling(60)).is_err());
    // Counts that no bytes follow.
    for at in 8..doubling(3).len() {
        for value in [0, 0x0f, 0xaf, 0xdf, 0x4f, 0xff] {
            let mut bytes = doubling(3);
            bytes[at] = value;
            let _ = read(&bytes);
        }
    }
}

#[test]
fn what_xml_cannot_carry_is_not_written() {
    let one = |text: &str| Dictionary::from_iter([("a", Value::String(text.to_owned()))]);
    let bytes = write(one("<&>\"' ä\nb")).unwrap();
    assert_eq!(read(&bytes).unwrap().text("a"), Some("<&>\"' ä\nb"));
    for bad in ["\u{0}", "a\u{1b}[2J", "\u{7}"] {
        assert!(write(one(bad)).is_err(), "{bad:?}");
    }
}
