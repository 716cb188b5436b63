//! The example `chat` with two users, each in a window of Chromium.

use super::chromium;
use super::client::skip;
use super::devtools::Browser;
use super::example::serve;

#[test]
fn two_people_talk_and_come_back_after_the_server_does() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (server, address) = serve("chat", &["127.0.0.1:0"]);
    let mut browser = Browser::start(name);
    let page = format!("http://{address}/#lobby");
    let [ada, ben] = ["ada", "ben"].map(|name| {
        let window = browser.open(&page);
        browser.wait_for(&window, "#state", |text| text.contains("online"));
        browser.type_into(&window, "#name", name);
        window
    });

    // Presence: both see each other, in the room that the URL names.
    for window in [&ada, &ben] {
        browser.wait_for(window, "#people", |text| text == "ada\nben");
        browser.wait_for(window, "#room", |text| text == "lobby");
        browser.wait_for(window, "#trip", |text| text.ends_with(" ms"));
    }
    // Each reads the other's messages. Markup is shown as text.
    browser.type_into(&ada, "#line", "hello <b>ben</b>: well?");
    browser.wait_for(&ben, "#log", |text| text.ends_with("ada: hello <b>ben</b>: well?"));

    // Another room: the one who stays sees the other leave, and gets no messages from there.
    browser.type_into(&ben, "#where", "attic");
    browser.wait_for(&ada, "#people", |text| text == "ada");
    browser.wait_for(&ben, "#people", |text| text == "ben");
    browser.wait_for(&ben, "#room", |text| text == "attic");
    browser.type_into(&ben, "#line", "nobody here");
    browser.wait_for(&ben, "#log", |text| text.ends_with("ben: nobody here"));
    browser.type_into(&ada, "#line", "nor here");
    let heard = browser.wait_for(&ada, "#log", |text| text.ends_with("ada: nor here"));
    assert!(!heard.contains("nobody here"), "{heard}");

    // The server ends. Messages that are sent meanwhile are not lost silently.
    drop(server);
    for window in [&ada, &ben] {
        browser.wait_for(window, "#state", |text| text.starts_with("offline"));
    }
    browser.type_into(&ada, "#line", "anybody?");
    browser.wait_for(&ada, "#log", |text| text.ends_with("offline: not sent"));
    let (_server, _) = serve("chat", &[&address]);
    browser.wait_for(&ada, "#people", |text| text == "ada");
    browser.wait_for(&ben, "#people", |text| text == "ben");
    browser.type_into(&ada, "#line", "back again");
    browser.wait_for(&ada, "#log", |text| text.ends_with("ada: back again"));
}

#[test]
fn a_link_names_a_room_whatever_it_holds() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (_server, address) = serve("chat", &["127.0.0.1:0"]);
    let mut browser = Browser::start(name);
    let links = [
        ("attic", "attic"),
        ("caf%C3%A9%20bar", "café bar"),
        ("50%", "50%"),
        ("%", "%"),
        ("%C3", "%C3"),
        ("%E2%82", "%E2%82"),
        ("", "lobby"),
        ("%20", "lobby"),
    ];
    for (fragment, room) in links {
        let window = browser.open(&format!("http://{address}/#{fragment}"));
        browser.wait_for(&window, "#state", |text| text.contains("online"));
        browser.wait_for(&window, "#room", |text| text == room);
        browser.wait_for(&window, "#log", |text| text.contains(&format!("joins {room}")));
    }
}
