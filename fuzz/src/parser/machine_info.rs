//! What an Apple device says of itself before it enrolls, signed. OpenSSL made the valid one.
use apple::machine_info::SignedMachineInfo;

const SIGNED: &[u8] = include_bytes!("seed/machine_info.der");

pub fn seeds() -> Vec<Vec<u8>> {
    vec![SIGNED.to_vec()]
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(said) = SignedMachineInfo::parse(bytes) else { return false };
    let good = SignedMachineInfo::parse(SIGNED).expect("a device");
    assert!(said.signer != good.signer || said.info == good.info, "nobody can sign for another device");
    for text in [&said.info.serial, &said.info.udid, &said.info.product, &said.info.os_version, &said.info.version] {
        assert!(text.chars().count() <= 256 && !text.contains(char::is_control), "{text:?}");
    }
    true
}
