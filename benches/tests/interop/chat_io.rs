//! The example `chat_io` with the stock client of Socket.IO, each user in a window of Chromium.

use std::path::PathBuf;

use super::chromium;
use super::client::{prepared, skip};
use super::cutting::Proxy;
use super::devtools::{Browser, Window};
use super::example::serve;
use super::program::Running;

/// The example on this address. `None` if the stock client is not installed.
fn chat(address: &str) -> Option<(Running, String)> {
    let bundle: PathBuf = prepared().join("node_modules/socket.io-client/dist/socket.io.min.js");
    bundle.exists().then(|| serve("chat_io", &[address, "--client", &bundle.to_string_lossy()]))
}

/// Opens the page and signs in.
fn open(browser: &mut Browser, address: &str, name: &str) -> Window {
    let window = browser.open(&format!("http://{address}/#lobby"));
    browser.wait_for(&window, "#room", |text| text == "lobby");
    browser.type_into(&window, "#name", name);
    let is_here = |text: &str| text.lines().any(|line| line == name);
    browser.wait_for(&window, "#people", is_here);
    browser.wait_for(&window, "#state", |text| text.ends_with("online"));
    window
}

#[test]
fn people_with_the_stock_client_talk_and_miss_nothing() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let Some((server, address)) = chat("127.0.0.1:0") else {
        return skip("socket.io-client");
    };
    let proxy = Proxy::start(address.clone());
    let mut browser = Browser::start(name);
    let ada = open(&mut browser, &proxy.address.to_string(), "ada");
    let ben = open(&mut browser, &address, "ben");

    // Each reads the other's messages. Markup is shown as text.
    browser.type_into(&ada, "#line", "hello <b>ben</b>: well?");
    browser.wait_for(&ben, "#log", |text| text.ends_with("ada: hello <b>ben</b>: well?"));
    browser.wait_for(&ben, "#typing", str::is_empty);
    browser.evaluate(&ben, "document.querySelector('#line').dispatchEvent(new Event('input'))");
    browser.wait_for(&ada, "#typing", |text| text == "ben is typing");
    browser.type_into(&ben, "#line", "yes");
    browser.wait_for(&ada, "#log", |text| text.ends_with("ben: yes"));

    // What was said while she was away comes once, and in order.
    proxy.cut();
    browser.wait_for(&ada, "#state", |text| text.contains("offline"));
    for text in ["one", "two"] {
        browser.type_into(&ben, "#line", text);
        browser.wait_for(&ben, "#log", |log| log.ends_with(&format!("ben: {text}")));
    }
    proxy.mend();
    let log = browser.wait_for(&ada, "#log", |text| text.contains("ben: two"));
    browser.wait_for(&ada, "#log", |text| text.contains("back again: nothing was missed"));
    assert!(log.contains("ben: yes"), "{log}");
    for text in ["ben: one", "ben: two"] {
        assert_eq!(log.matches(text).count(), 1, "{log}");
    }
    assert!(log.find("ben: one") < log.find("ben: two"), "{log}");
    browser.type_into(&ada, "#line", "I am back");
    browser.wait_for(&ben, "#log", |text| text.ends_with("ada: I am back"));

    // A server that has begun anew remembers nothing, and the page says so.
    drop(server);
    browser.wait_for(&ada, "#state", |text| text.contains("offline"));
    let _server = chat(&address);
    for window in [&ada, &ben] {
        browser.wait_for(window, "#log", |text| text.contains("some messages may be missing"));
    }
    browser.type_into(&ben, "#line", "here I am");
    browser.wait_for(&ada, "#log", |text| text.ends_with("ben: here I am"));
}

#[test]
fn a_page_says_why_its_user_is_refused() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let Some((_server, address)) = chat("127.0.0.1:0") else {
        return skip("socket.io-client");
    };
    let mut browser = Browser::start(name);
    let window = open(&mut browser, &address, "ada");
    browser.type_into(&window, "#name", "a b");
    let reason = "refused: a name is up to 24 letters, digits and dashes";
    browser.wait_for(&window, "#state", |text| text.ends_with(reason));
    browser.type_into(&window, "#name", "eve");
    browser.wait_for(&window, "#people", |text| text == "eve");
}

#[test]
fn a_page_without_the_stock_client_says_how_to_get_it() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (_server, address) = serve("chat_io", &["127.0.0.1:0"]);
    let mut browser = Browser::start(name);
    let window = browser.open(&format!("http://{address}/"));
    browser.wait_for(&window, "#log", |text| text.contains("npm install socket.io-client"));
}
