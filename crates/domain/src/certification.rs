//! How an Apple device gets the certificate that shows who it is.
use crate::text::text_enum;

text_enum! {
    /// What its profile tells it to use, for all the certificates of an enrolment.
    Certification {
        /// Whoever has the one-time password gets one.
        Scep = "scep",
        /// Only with Apple’s word for the device, and for the key being its own.
        Acme = "acme",
    }
}

text_enum! {
    /// How far a request for a certificate is.
    OrderState {
        /// The device has not shown what it is.
        Pending = "pending",
        /// It has, and may ask for the certificate.
        Ready = "ready",
        /// The certificate was made.
        Valid = "valid",
        /// What it showed is not believed.
        Invalid = "invalid",
    }
}
