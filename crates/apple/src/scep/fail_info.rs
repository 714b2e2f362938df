//! Reasons for a refusal.
/// Why a request is refused, as far as the protocol has words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailInfo {
    BadAlgorithm,
    BadMessageCheck,
    BadRequest,
    BadTime,
    BadCertificate,
}

impl FailInfo {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::BadAlgorithm => "0",
            Self::BadMessageCheck => "1",
            Self::BadRequest => "2",
            Self::BadTime => "3",
            Self::BadCertificate => "4",
        }
    }
}
