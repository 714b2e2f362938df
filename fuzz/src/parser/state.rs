//! Records of the console's own state, as anybody who can write to the second store may put them there.
use holdfast::service::console_copy::Record;

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes([
        r#"{"format":1,"database":"0f","sequence":1,"taken_at":1795356371000,"previous":null,"keys":[],"sealed":"AAAA"}"#,
        r#"{"format":1,"database":"0f","sequence":2,"taken_at":1795356431000,"previous":"abababababababababababababababababababababababababababababababab","keys":[{"holder":"root","public":"AA==","sealed":"AA=="},{"holder":"recovery","public":"BB==","sealed":"BB=="}],"sealed":""}"#,
    ])
}

pub fn check(value: &[u8]) -> bool {
    let Ok(record) = Record::parse(value) else { return false };
    assert!(record.head.sequence >= 0);
    assert!(record.open(&[]).is_err(), "nobody's key opens nothing");
    let written = record.bytes().expect("what was read can be written");
    assert_eq!(Record::parse(&written).expect("what is written can be read"), record);
    true
}
