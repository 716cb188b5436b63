//! The example `chat` with Prometheus' own parser, and with users in windows of Chromium.

use super::browser::Browser;
use super::client::Client;
use super::server::Daemon;

#[test]
fn prometheus_reads_the_numbers_of_a_loop() {
    let probe = &["-c", "import prometheus_client"];
    let client = Client::new("Python's prometheus_client", &["python3"], probe);
    let Some(python) = client.find() else { return };
    let server = Daemon::example("chat", &[]);
    python.run("read_metrics.py", &[&format!("http://{}/metrics", server.address)]);
}

#[test]
fn two_people_talk_and_come_back_after_the_server_does() {
    let Some(mut browser) = Browser::start() else { return };
    let mut server = Daemon::example("chat", &[]);
    let page = format!("http://{}/#lobby", server.address);
    let [ada, ben] = ["ada", "ben"].map(|name| {
        let window = browser.open(&page);
        browser.wait_for(&window, "#state", |text| text.contains("online"));
        browser.type_into(&window, "#name", name);
        window
    });

    // Presence: both see each other, in the room that the URL names.
    for window in [&ada, &ben] {
        browser.wait_for_text(window, "#people", "ada\nben");
        browser.wait_for_text(window, "#room", "lobby");
        browser.wait_for_end(window, "#trip", " ms");
    }
    // Each reads the other's messages. Markup is shown as text.
    browser.type_into(&ada, "#line", "hello <b>ben</b>: well?");
    browser.wait_for_end(&ben, "#log", "ada: hello <b>ben</b>: well?");

    // Another room: the one who stays sees the other leave, and gets no messages from there.
    browser.type_into(&ben, "#where", "attic");
    browser.wait_for_text(&ada, "#people", "ada");
    browser.wait_for_text(&ben, "#people", "ben");
    browser.wait_for_text(&ben, "#room", "attic");
    browser.type_into(&ben, "#line", "nobody here");
    browser.wait_for_end(&ben, "#log", "ben: nobody here");
    browser.type_into(&ada, "#line", "nor here");
    let heard = browser.wait_for_end(&ada, "#log", "ada: nor here");
    assert!(!heard.contains("nobody here"), "{heard}");

    // The server ends. Messages that are sent meanwhile are not lost silently.
    server.kill();
    for window in [&ada, &ben] {
        browser.wait_for(window, "#state", |text| text.starts_with("offline"));
    }
    browser.type_into(&ada, "#line", "anybody?");
    browser.wait_for_end(&ada, "#log", "offline: not sent");
    server.restart();
    browser.wait_for_text(&ada, "#people", "ada");
    browser.wait_for_text(&ben, "#people", "ben");
    browser.type_into(&ada, "#line", "back again");
    browser.wait_for_end(&ada, "#log", "ada: back again");
}

#[test]
fn a_link_names_a_room_whatever_it_holds() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Daemon::example("chat", &[]);
    for (fragment, room) in [
        ("attic", "attic"),
        ("caf%C3%A9%20bar", "café bar"),
        ("50%", "50%"),
        ("%", "%"),
        ("%C3", "%C3"),
        ("%E2%82", "%E2%82"),
        ("", "lobby"),
        ("%20", "lobby"),
    ] {
        let window = browser.open(&format!("http://{}/#{fragment}", server.address));
        browser.wait_for(&window, "#state", |text| text.contains("online"));
        browser.wait_for_text(&window, "#room", room);
        browser.wait_for(&window, "#log", |text| text.contains(&format!("joins {room}")));
    }
}
