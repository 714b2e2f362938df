//! `X-Forwarded-For` in whatever bytes: only a trusted proxy's word counts, and never what stands before it.
use holdfast::config::{Config, Options};
use std::net::{IpAddr, SocketAddr};

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes(["198.51.100.7, 10.0.0.1\n10.0.0.2", "203.0.113.5\n[2001:db8::1]:443", "::ffff:192.0.2.1, 10.0.0.1"])
}

pub fn check(bytes: &[u8]) -> bool {
    let proxies: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "::1"].map(|it| it.parse().unwrap()).to_vec();
    let config = Config::new(Options { trusted_proxy: Some(proxies.clone()), ..Options::default() }).unwrap();
    let headers: Vec<&[u8]> = bytes.split(|it| *it == b'\n').collect();

    let stranger: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(config.client_address(stranger, headers.iter().copied()), stranger);

    let mut is_named = false;
    for proxy in &proxies {
        let client = config.client_address(*proxy, headers.iter().copied());
        // What the proxy itself adds wins over all that was sent through it.
        let added = [headers.clone(), vec![b"198.51.100.7".as_slice()]].concat();
        assert_eq!(config.client_address(*proxy, added.into_iter()).to_string(), "198.51.100.7");
        if client != *proxy {
            assert!(names(bytes, client), "{client} is nobody's word");
            is_named = true;
        }
    }
    is_named
}

fn names(bytes: &[u8], client: IpAddr) -> bool {
    String::from_utf8_lossy(bytes).split([',', '\n']).map(str::trim).any(|it| {
        let address = it.parse::<IpAddr>().ok().or_else(|| Some(it.parse::<SocketAddr>().ok()?.ip()));
        address.is_some_and(|it| it.to_canonical() == client)
    })
}
