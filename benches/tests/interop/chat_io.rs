//! The example `chat_io` with the stock client of Socket.IO, each user in a window of Chromium.

use super::browser::{Browser, Window};
use super::nginx::nginx;
use super::server::Daemon;
use super::socket_io::bundle;

/// The example. `None` if the stock client is not installed, which is reported.
fn chat() -> Option<Daemon> {
    Some(Daemon::example("chat_io", &["--client", bundle()?.to_str().unwrap()]))
}

/// Opens the page and signs in.
fn open(browser: &mut Browser, address: &str, name: &str) -> Window {
    let window = browser.open(&format!("http://{address}/#lobby"));
    browser.wait_for_text(&window, "#room", "lobby");
    browser.type_into(&window, "#name", name);
    let is_here = |text: &str| text.lines().any(|line| line == name);
    browser.wait_for(&window, "#people", is_here);
    browser.wait_for_end(&window, "#state", "online");
    window
}

/// Says something. The server's acknowledgement empties the line.
fn say(browser: &mut Browser, window: &Window, text: &str) {
    browser.type_into(window, "#line", text);
    browser.wait_for_text(window, "#line", "");
}

#[test]
fn people_with_the_stock_client_talk_and_miss_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let Some(mut server) = chat() else { return };
    let Some(mut nginx) = nginx(&server.address, &[]) else { return };
    let ada = open(&mut browser, &nginx.address, "ada");
    let ben = open(&mut browser, &server.address, "ben");

    // Each reads the other's messages. Markup is shown as text.
    say(&mut browser, &ada, "hello <b>ben</b>: well?");
    browser.wait_for_end(&ben, "#log", "ada: hello <b>ben</b>: well?");
    browser.wait_for_text(&ben, "#typing", "");
    browser.evaluate(&ben, "document.querySelector('#line').dispatchEvent(new Event('input'))");
    browser.wait_for_text(&ada, "#typing", "ben is typing");
    say(&mut browser, &ben, "yes");
    browser.wait_for_end(&ada, "#log", "ben: yes");

    // What was said while she was away comes once, and in order.
    nginx.kill();
    browser.wait_for(&ada, "#state", |text| text.contains("offline"));
    for text in ["one", "two"] {
        say(&mut browser, &ben, text);
        browser.wait_for_end(&ben, "#log", &format!("ben: {text}"));
    }
    nginx.restart();
    let log = browser.wait_for(&ada, "#log", |text| text.contains("ben: two"));
    browser.wait_for(&ada, "#log", |text| text.contains("back again: nothing was missed"));
    assert!(log.contains("ben: yes"), "{log}");
    for text in ["ben: one", "ben: two"] {
        assert_eq!(log.matches(text).count(), 1, "{log}");
    }
    assert!(log.find("ben: one") < log.find("ben: two"), "{log}");
    say(&mut browser, &ada, "I am back");
    browser.wait_for_end(&ben, "#log", "ada: I am back");

    // A server that has begun anew remembers nothing, and the page says so.
    server.kill();
    browser.wait_for(&ada, "#state", |text| text.contains("offline"));
    server.restart();
    for window in [&ada, &ben] {
        browser.wait_for(window, "#log", |text| text.contains("some messages may be missing"));
    }
    say(&mut browser, &ben, "here I am");
    browser.wait_for_end(&ada, "#log", "ben: here I am");
}

#[test]
fn a_page_says_why_its_user_is_refused() {
    let Some(mut browser) = Browser::start() else { return };
    let Some(server) = chat() else { return };
    let window = open(&mut browser, &server.address, "ada");
    browser.type_into(&window, "#name", "a b");
    let reason = "refused: a name is up to 24 letters, digits and dashes";
    browser.wait_for_end(&window, "#state", reason);
    browser.type_into(&window, "#name", "eve");
    browser.wait_for_text(&window, "#people", "eve");
}

#[test]
fn a_page_without_the_stock_client_says_how_to_get_it() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Daemon::example("chat_io", &[]);
    let window = browser.open(&format!("http://{}/", server.address));
    browser.wait_for(&window, "#log", |text| text.contains("npm install socket.io-client"));
}
