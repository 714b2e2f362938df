//! Property lists of Apple devices, in XML and binary, and the messages in them: what was read is written, and read again.
use apple::message::Message;
use apple::plist::{PlistFault, read, write};

const IDLE: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Status</key><string>Idle</string><key>UDID</key><string>00008030-1</string></dict></plist>"#;

const TOKEN_UPDATE: &[u8] = br#"<plist version="1.0"><dict><key>MessageType</key><string>TokenUpdate</string>
<key>UDID</key><string>00008030-1</string><key>Topic</key><string>com.apple.mgmt.External.1</string>
<key>Token</key><data>q6s=</data><key>PushMagic</key><string>m</string><key>NotOnConsole</key><string>false</string></dict></plist>"#;

const ERROR: &[u8] =
    br#"<plist version="1.0"><dict><key>Status</key><string>Error</string><key>UDID</key><string>1</string>
<key>CommandUUID</key><string>c</string><key>ErrorChain</key><array><dict><key>ErrorCode</key><integer>12021</integer>
<key>ErrorDomain</key><string>MCMDMErrorDomain</string></dict></array><key>At</key><date>2026-11-12T03:04:05Z</date>
<key>Level</key><real>0.5</real><key>Is</key><true/></dict></plist>"#;

/// A binary list: one dictionary with one text.
const BINARY: &[u8] =
    b"bplist00\xd1\x01\x02QaQb\x08\x0b\x0d\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f";

pub fn seeds() -> Vec<Vec<u8>> {
    [IDLE, TOKEN_UPDATE, ERROR, BINARY].iter().map(|it| it.to_vec()).collect()
}

pub fn check(bytes: &[u8]) -> bool {
    let message = Message::parse(bytes);
    let Ok(dictionary) = read(bytes) else {
        assert!(message.is_err(), "a message that is no property list");
        return false;
    };
    // A control character in a text is not written: no device would read it.
    if let Ok(written) = write(dictionary) {
        assert!(matches!(read(&written), Ok(_) | Err(PlistFault::TooLong)), "what was written is not read");
    }
    true
}
