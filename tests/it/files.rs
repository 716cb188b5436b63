//! Static files: conditional requests and parts, over real sockets.

use eventwire::{Config, ContentType, EventLoop, Routes, ServerConfig, StaticFile};

use crate::util::{Peer, Server, pattern};

/// More than a socket takes at once.
const LONG: usize = 3_000_000;

fn serve() -> Server {
    Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let short = StaticFile::new(ContentType::TEXT, "0123456789");
        let long = StaticFile::new(ContentType::OCTET_STREAM, pattern(LONG, 1));
        let own = long.clone();
        let routes = Routes::new()
            .file("/short", short)
            .file("/long", long)
            .get("/own/{name}", move |_, request, _| own.respond(request));
        let config = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

/// The head and the body of the next response on the connection.
fn ask(peer: &mut Peer, method: &str, target: &str, headers: &str) -> (String, Vec<u8>) {
    peer.write(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
    let head = peer.head();
    let length = header(&head, "Content-Length").map(|length| length.parse().expect("a number"));
    let length = length.filter(|_| method != "HEAD").unwrap_or(0);
    (head, peer.bytes(length))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_client_that_has_the_file_gets_it_no_more() {
    let server = serve();
    let mut peer = Peer::open(server.address());
    let (head, body) = ask(&mut peer, "GET", "/short", "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, b"0123456789");
    let etag = header(&head, "ETag").expect("a tag").to_owned();
    let (head, _) = ask(&mut peer, "HEAD", "/short", "");
    assert_eq!(header(&head, "ETag"), Some(&*etag));
    for method in ["GET", "HEAD"] {
        let condition = format!("If-None-Match: \"other\", W/{etag}\r\n");
        let (head, _) = ask(&mut peer, method, "/short", &condition);
        assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
        assert_eq!(header(&head, "ETag"), Some(&*etag));
        assert_eq!(header(&head, "Content-Length"), None);
    }
    // The connection is where it should be.
    assert_eq!(ask(&mut peer, "GET", "/short", "").1, b"0123456789");
    let (head, _) = ask(&mut peer, "GET", "/short", "If-Match: \"other\"\r\n");
    assert!(head.starts_with("HTTP/1.1 412 "), "{head}");
    let (head, _) = ask(&mut peer, "PUT", "/short", "");
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    assert_eq!(header(&head, "Allow"), Some("GET, HEAD"));
}

#[test]
fn parts_make_the_whole() {
    let server = serve();
    let mut peer = Peer::open(server.address());
    let (head, _) = ask(&mut peer, "HEAD", "/long", "");
    let condition = format!("If-Range: {}\r\n", header(&head, "ETag").expect("a tag"));
    for target in ["/long", "/own/a"] {
        let mut whole = Vec::new();
        for (range, expected) in [
            ("0-0", "bytes 0-0/3000000"),
            ("1-1999999", "bytes 1-1999999/3000000"),
            ("2000000-", "bytes 2000000-2999999/3000000"),
        ] {
            let headers = format!("{condition}Range: bytes={range}\r\n");
            let (head, part) = ask(&mut peer, "GET", target, &headers);
            assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
            assert_eq!(header(&head, "Content-Range"), Some(expected));
            whole.extend(part);
        }
        assert!(whole == pattern(LONG, 1), "{} bytes", whole.len());
    }
    let (head, _) = ask(&mut peer, "GET", "/long", "Range: bytes=3000000-\r\n");
    assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
    assert_eq!(header(&head, "Content-Range"), Some("bytes */3000000"));
    // Of another version, all.
    let headers = "If-Range: \"other\"\r\nRange: bytes=0-0\r\n";
    let (head, body) = ask(&mut peer, "GET", "/long", headers);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body.len(), LONG);
}
