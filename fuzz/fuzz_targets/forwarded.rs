//! `X-Forwarded-For` in whatever bytes: only a trusted proxy's word counts, and never what stands before it.
#![no_main]
use holdfast::config::{Config, Options};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|bytes: &[u8]| {
    let proxies: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "::1"].map(|it| it.parse().unwrap()).to_vec();
    let config = Config::new(Options { trusted_proxy: Some(proxies.clone()), ..Options::default() }).unwrap();
    let headers: Vec<&[u8]> = bytes.split(|it| *it == b'\n').collect();

    let stranger: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(config.client_address(stranger, headers.iter().copied()), stranger);

    for proxy in &proxies {
        let client = config.client_address(*proxy, headers.iter().copied());
        // What the proxy itself adds wins over all that was sent through it.
        let added = [headers.clone(), vec![b"198.51.100.7".as_slice()]].concat();
        assert_eq!(config.client_address(*proxy, added.into_iter()).to_string(), "198.51.100.7");
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let is_named = text.split([',', '\n']).any(|it| {
            let it = it.trim();
            it.parse::<IpAddr>().is_ok_and(|it| it.to_canonical() == client)
                || it.parse::<std::net::SocketAddr>().is_ok_and(|it| it.ip().to_canonical() == client)
        });
        assert!(client == *proxy || is_named, "{client} is nobody's word");
    }
});
