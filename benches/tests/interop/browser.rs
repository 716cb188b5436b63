//! Controls Chromium: opens pages in windows, types text, and reads what is shown.

use std::fs;
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::WebSocket;

use super::client::Client;
use super::folder::Folder;
use super::program::Running;
use super::wait::{PATIENCE, wait_for};

/// Chromium, by any of its names.
const CHROMIUM: Client = Client::new("Chromium", &["bash", "-c", EXEC, "bash"], &["--version"]);
const EXEC: &str =
    r#"exec "$(type -P chromium chromium-browser google-chrome | head --lines 1)" "$@""#;

/// Without a sandbox, which does not work for root and in many containers and which pages of tests
/// do not need, and without traffic of its own. Trusts every certificate: it uses the system's
/// trusted roots, which a test must not change.
const ARGUMENTS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-dev-shm-usage --disable-background-networking --disable-component-update \
    --disable-sync --no-proxy-server --ignore-certificate-errors --remote-debugging-port=0";

/// A running browser. Dropping it ends it.
pub(super) struct Browser {
    _process: Running,
    _profile: Folder,
    devtools: WebSocket<TcpStream>,
    /// Counts commands.
    sent: u64,
}

/// A window of a browser.
pub(super) struct Window(String);

impl Browser {
    /// `None` if it is not installed, which is reported.
    pub(super) fn start() -> Option<Self> {
        let chromium = CHROMIUM.find()?;
        let profile = Folder::new();
        let mut command = chromium.command();
        command.args(ARGUMENTS.split(' ')).arg(format!("--user-data-dir={}", profile.path("")));
        let process = Running::spawn(command.arg("about:blank"));
        // The browser writes its port and a path into a file once it is ready.
        let file = profile.path("DevToolsActivePort");
        let (port, path) = wait_for(|| {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let parts = text.split_once('\n').filter(|(_, path)| !path.is_empty());
            let parts = parts.map(|(port, path)| (port.to_owned(), path.trim().to_owned()));
            parts.ok_or("Chromium does not start")
        });
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (devtools, _) = tungstenite::client(url, stream).unwrap();
        Some(Self { _process: process, _profile: profile, devtools, sent: 0 })
    }

    /// Opens a window with the page at `url`.
    pub(super) fn open(&mut self, url: &str) -> Window {
        let create = json!({"url": url, "newWindow": true});
        let target = self.command(None, "Target.createTarget", &create);
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.command(None, "Target.attachToTarget", &attach);
        Window(session["sessionId"].as_str().expect("a session").to_owned())
    }

    /// Types `text` into `element`, and then presses return.
    pub(super) fn type_into(&mut self, window: &Window, element: &str, text: &str) {
        self.evaluate(window, &format!("document.querySelector({element:?}).select()"));
        self.command(Some(window), "Input.insertText", &json!({"text": text}));
        let enter = json!({"type": "char", "text": "\r"});
        self.command(Some(window), "Input.dispatchKeyEvent", &enter);
    }

    /// Waits until `expected` accepts the visible text of `element`, or what is typed into it, and
    /// returns it.
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
            const is_shown = box && box.width > 0 && box.height > 0; \
            return is_shown ? seen.value ?? seen.innerText : \"\"; }})()"
        );
        wait_for(|| {
            let text = self.evaluate(window, &look).as_str().unwrap_or_default().to_owned();
            if expected(&text) { Ok(text) } else { Err(format!("{element} shows {text:?}")) }
        })
    }

    /// Waits until the visible text of `element` is `text`.
    pub(super) fn wait_for_text(&mut self, window: &Window, element: &str, text: &str) {
        self.wait_for(window, element, |shown| shown == text);
    }

    /// Waits until the visible text of `element` ends with `text`, and returns all of it.
    pub(super) fn wait_for_end(&mut self, window: &Window, element: &str, text: &str) -> String {
        self.wait_for(window, element, |shown| shown.ends_with(text))
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
