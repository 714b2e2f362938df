//! Shares of a recovery key as somebody typed them: what is taken is printed again as it was meant.
use secret::recovery::{RecoveryKey, Share, ShareError};

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes([
        "217K-3Q0M-003G-W58W-4CN3-2E1Z-8S6N-8PV2\nD5R7-EZM5-HJ9S-N8D8-NYVB-VH6B-TBCH-AWZP",
        "2l7k 3qom oo3g w58w 4cn3 2e1z 8s6n 8pv2 d5r7 ezm5 hj9s n8d8 nyvb vh6b tbch awzp",
    ])
}

pub fn check(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let Ok(share) = Share::parse(text) else { return false };
    assert!((1..=5).contains(&share.number()) && share.key().len() == 6);
    let printed = share.text();
    let again = Share::parse(&printed).expect("what is printed is a share");
    assert_eq!((again.number(), again.key(), again.text()), (share.number(), share.key(), printed));
    let number = share.number();
    let twice = RecoveryKey::from_shares(&[share.clone(), share]).err();
    assert_eq!(twice, Some(ShareError::Twice(number)));
    true
}
