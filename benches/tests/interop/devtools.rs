//! Controls Chromium: opens pages in windows, types text, and reads what is shown.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::WebSocket;

use super::chromium::{ARGUMENTS, Profile};
use super::program::Running;

/// A wait takes this long only if something is broken. A browser is slow to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running browser. Dropping it ends it.
pub(super) struct Browser {
    _process: Running,
    _profile: Profile,
    devtools: WebSocket<TcpStream>,
    /// Counts commands.
    sent: u64,
}

/// A window of a browser.
#[derive(Clone)]
pub(super) struct Window(String);

impl Browser {
    pub(super) fn start(name: &str) -> Self {
        let profile = Profile::new();
        let mut command = Command::new(name);
        command.args(ARGUMENTS).arg("--remote-debugging-port=0");
        command.arg(format!("--user-data-dir={}", profile.0.display())).arg("about:blank");
        let process = Running::spawn(&mut command);
        // The browser writes its address into a file once it is ready.
        let (file, start) = (profile.0.join("DevToolsActivePort"), Instant::now());
        let (port, path) = loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                break (port.to_owned(), path.trim().to_owned());
            }
            assert!(start.elapsed() < PATIENCE, "Chromium does not start");
            thread::yield_now();
        };
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (devtools, _) = tungstenite::client(url, stream).unwrap();
        Self { _process: process, _profile: profile, devtools, sent: 0 }
    }

    /// Opens a window with the page at `url`.
    pub(super) fn open(&mut self, url: &str) -> Window {
        let target =
            self.command(None, "Target.createTarget", &json!({"url": url, "newWindow": true}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.command(None, "Target.attachToTarget", &attach);
        Window(session["sessionId"].as_str().expect("a session").to_owned())
    }

    /// Types `text` into `element`, and then presses return.
    pub(super) fn type_into(&mut self, window: &Window, element: &str, text: &str) {
        let focus = format!("document.querySelector({element:?}).select()");
        self.evaluate(window, &focus);
        self.command(Some(window), "Input.insertText", &json!({"text": text}));
        for kind in ["keyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13,
            });
            self.command(Some(window), "Input.dispatchKeyEvent", &key);
        }
    }

    /// Waits until `expected` accepts the visible text of `element`, and returns the text.
    pub(super) fn wait_for(
        &mut self,
        window: &Window,
        element: &str,
        expected: impl Fn(&str) -> bool,
    ) -> String {
        // Only rendered text counts, not hidden or clipped text.
        let look = format!(
            "(() => {{ const seen = document.querySelector({element:?}); \
            const box = seen?.getBoundingClientRect(); \
            return box && box.width > 0 && box.height > 0 ? seen.innerText : \"\"; }})()"
        );
        let start = Instant::now();
        loop {
            let text = self.evaluate(window, &look).as_str().unwrap_or_default().to_owned();
            if expected(&text) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "{element} shows {text:?}");
            thread::yield_now();
        }
    }

    /// Runs a script in the window, and returns its value.
    pub(super) fn evaluate(&mut self, window: &Window, script: &str) -> Value {
        let script = json!({"expression": script, "returnByValue": true});
        let mut outcome = self.command(Some(window), "Runtime.evaluate", &script);
        assert!(outcome.get("exceptionDetails").is_none(), "{outcome}");
        outcome["result"]["value"].take()
    }

    /// Sends a command to the browser, and waits for its result.
    fn command(&mut self, window: Option<&Window>, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if let Some(Window(session)) = window {
            command["sessionId"] = session.as_str().into();
        }
        self.devtools.send(Message::text(command.to_string())).unwrap();
        loop {
            let message = self.devtools.read().unwrap();
            let mut answer: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            // Skips events.
            if answer["id"] == self.sent {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}
