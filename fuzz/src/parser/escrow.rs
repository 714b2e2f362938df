//! Escrow records, as anybody who can write to the second store may put them there.
use holdfast::service::escrow::Record;

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes([
        r#"{"format":1,"repository":"0190163d-8694-739b-aea5-966c26f8ad90","device":"0190163d-8694-739b-aea5-966c26f8ad91","generation":1,"key":"ABC123","sealed":"AAAA"}"#,
        r#"{"format":1,"repository":"0190163d-8694-739b-aea5-966c26f8ad90","device":"0190163d-8694-739b-aea5-966c26f8ad91","generation":0,"key":"","sealed":""}"#,
    ])
}

pub fn check(value: &[u8]) -> bool {
    let Ok(record) = Record::parse(value) else { return false };
    let nobody = domain::console_copy::HolderKey {
        holder: domain::console_copy::Holder::Recovery,
        public: String::new(),
        key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
    };
    assert!(record.open(&nobody).is_err(), "nobody's key opens nothing");
    let written = record.bytes().expect("what was read can be written");
    assert_eq!(Record::parse(&written).expect("what is written can be read"), record);
    true
}
