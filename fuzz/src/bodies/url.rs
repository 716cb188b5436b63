//! A URL that is accepted makes a request that a server understands.

use eventwire::proto::handshake::{ClientRequest, OriginPolicy, UpgradeRequest, WsUrl};
use eventwire::proto::http::HeadLimits;

use super::endpoint::key;

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let base = WsUrl::parse("wss://example.com/a/b?c").expect("a URL");
    if let Ok(joined) = base.join(&text) {
        assert_eq!(WsUrl::parse(&joined.to_string()).as_ref(), Ok(&joined));
        assert_eq!(joined.join(&joined.to_string()).as_ref(), Ok(&joined), "no dots are left");
    }
    let url = match WsUrl::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(url.port() != 0 && !url.host().is_empty());
    assert!(url.target().starts_with('/'));
    assert_eq!(WsUrl::parse(&url.to_string()).as_ref(), Ok(&url));

    let limits = HeadLimits { bytes: usize::MAX, line: usize::MAX, headers: 100 };
    let origin = format!("http://{}", url.host_header());
    let asked = ClientRequest::new(url.clone()).origin(&origin).expect("an origin");
    let mut head = Vec::new();
    asked.write(&key(), &mut head);
    let request = UpgradeRequest::parse(&head, &limits).expect("a valid request");
    assert_eq!((request.target(), request.host()), (url.target(), url.host_header()));
    assert_eq!(request.key(), key());
    assert_eq!(OriginPolicy::SameOrigin.check(&request), Ok(()));
}
