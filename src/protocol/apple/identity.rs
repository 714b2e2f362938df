//! Which certificate a message came with, and that its sender has the key.
//!
//! In the message's signature, in the TLS connection, or in a header of a proxy that is trusted: each that is there has to be
//! of our authority, and all have to be the same.
use crate::protocol::apple::authority::timestamp;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::shared::Door;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use apple::certificate::{Certificate, Strength, from_header};
use apple::cms;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::any::Any;
use tokio::net::TcpStream;

/// The certificate that a device showed when it connected, in DER.
struct OfConnection(Vec<u8>);

/// Notes the certificate that a device shows when it connects.
pub fn on_connect(io: &dyn Any, of_connection: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<TlsStream<TcpStream>>() else { return };
    if let Some(first) = stream.get_ref().1.peer_certificates().and_then(|it| it.first()) {
        of_connection.insert(OfConnection(first.to_vec()));
    }
}

/// The certificate whose key the sender of this body has.
///
/// # Errors
/// When there is none, one of them is not good, or they differ.
pub fn of(request: &HttpRequest, body: &[u8], door: &Door) -> Result<Certificate, Fault> {
    let shown = [signature(request, body)?, connection(request)?, proxy(request, door)?];
    let now = timestamp(door.now())?;
    let mut known: Option<Certificate> = None;
    for certificate in shown.into_iter().flatten() {
        let certificate = door.opened()?.authority.check(Some(certificate.der()), now).map_err(Fault::forbidden)?;
        if known.as_ref().is_some_and(|it| *it != certificate) {
            return Err(Fault::forbidden("the message came with two different certificates"));
        }
        known = Some(certificate);
    }
    known.ok_or_else(|| Fault::forbidden("the message came without a certificate"))
}

fn signature(request: &HttpRequest, body: &[u8]) -> Result<Option<Certificate>, Fault> {
    let mut headers = request.headers().get_all("mdm-signature");
    let value = match (headers.next(), headers.next()) {
        (None, _) => return Ok(None),
        (Some(one), None) => one,
        (Some(_), Some(_)) => return Err(Fault::bad("there is more than one Mdm-Signature")),
    };
    let bytes =
        BASE64_STANDARD.decode(value.as_bytes()).map_err(|_no_base64| Fault::bad("the Mdm-Signature is no base64"))?;
    // Devices sign with SHA-1.
    let signed = cms::verify(&bytes, Some(body), Strength::WithLegacy)
        .map_err(|why| Fault::forbidden(format!("the Mdm-Signature: {why}")))?;
    Ok(Some(signed.signer))
}

fn connection(request: &HttpRequest) -> Result<Option<Certificate>, Fault> {
    let shown = request.conn_data::<OfConnection>();
    shown.map(|it| Certificate::parse(&it.0)).transpose().map_err(Fault::forbidden)
}

/// Anybody can write a header: it counts only if it came from a proxy that the settings name.
fn proxy(request: &HttpRequest, door: &Door) -> Result<Option<Certificate>, Fault> {
    let settings = door.settings();
    let Some(name) = &settings.certificate_header else { return Ok(None) };
    let peer = request.peer_addr().map(|it| it.ip().to_canonical());
    if !peer.is_some_and(|it| settings.trusted_proxies.contains(&it)) {
        return Ok(None);
    }
    let mut headers = request.headers().get_all(name);
    match (headers.next(), headers.next()) {
        (None, _) => Ok(None),
        // What nginx sends of a client without one.
        (Some(one), None) if one.is_empty() => Ok(None),
        (Some(one), None) => {
            let value = one.to_str().map_err(|_no_text| Fault::bad("the certificate’s header is no text"))?;
            from_header(value).map(Some).map_err(Fault::forbidden)
        }
        (Some(_), Some(_)) => Err(Fault::bad("there is more than one header with a certificate")),
    }
}
