//! Uploads by curl, Node and aiohttp to the example `upload`, directly and behind nginx.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sha1::{Digest, Sha1};

use super::client::{clients, command, skip, succeeds};
use super::example;
use super::nginx::{self, Nginx};
use super::program::Running;

/// The longest that the example accepts, and what the guide lets nginx pass on.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The headers that change how curl sends a body: announced or not, with its length or in chunks.
const WAYS: [[&str; 2]; 4] = [
    ["Expect:", "Accept: */*"],
    ["Expect: 100-continue", "Accept: */*"],
    ["Expect:", "Transfer-Encoding: chunked"],
    ["Expect: 100-continue", "Transfer-Encoding: chunked"],
];

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("{test}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the example, and calls `upload` with its address, and then with that of nginx before it.
fn serve(test: &str, upload: impl Fn(&Folder, &str)) {
    let folder = Folder::new(test);
    let (_server, address) = example::serve("upload", &["127.0.0.1:0", &folder.path("uploads")]);
    upload(&folder, &address);
    if nginx::is_installed() {
        let nginx = Nginx::start(&address);
        upload(&folder, &nginx.address.to_string());
    } else {
        skip("nginx");
    }
}

/// What curl prints when it has sent this file: the heads and the body of the response.
fn curl(address: &str, file: &str, headers: [&str; 2]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "60", "--noproxy", "*"]);
    // It waits for 100 rather than sending the body anyway.
    command.args(["--expect100-timeout", "60", "--data-binary", &format!("@{file}")]);
    command.args(["--header", headers[0], "--header", headers[1]]);
    command.args(["--write-out", "\nsent %{size_upload}", &format!("http://{address}/files/a")]);
    let output = Running::spawn(&mut command).finish();
    output.assert_success();
    output.stdout
}

#[test]
fn curl_uploads_with_and_without_a_length_or_a_question() {
    if !succeeds(Command::new("curl").arg("--version")) {
        return skip("curl");
    }
    let bytes: Vec<u8> = (0..BYTES_MAX).map(|at| (at % 251) as u8).collect();
    let hash: String = Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    serve("curl-uploads", |folder, address| {
        let file = folder.path("file");
        fs::write(&file, &bytes).unwrap();
        let expected = format!("{{\"name\":\"a\",\"bytes\":{BYTES_MAX},\"sha1\":\"{hash}\"}}");
        for way in WAYS {
            let received = curl(address, &file, way);
            assert!(received.contains(&expected), "{way:?}: {received}");
            let is_asked = way[0].contains("100");
            assert_eq!(received.starts_with("HTTP/1.1 100 "), is_asked, "{way:?}: {received}");
            assert!(fs::read(folder.path("uploads/a")).unwrap() == bytes, "{way:?}");
        }
    });
}

#[test]
fn curl_learns_that_a_file_is_too_long() {
    if !succeeds(Command::new("curl").arg("--version")) {
        return skip("curl");
    }
    serve("curl-too-long", |folder, address| {
        let file = folder.path("file");
        fs::write(&file, vec![7; BYTES_MAX + 1]).unwrap();
        for way in WAYS {
            let received = curl(address, &file, way);
            assert!(received.contains("HTTP/1.1 413 "), "{way:?}: {received}");
        }
        // The length alone is too much, so that nothing is sent.
        let received = curl(address, &file, WAYS[1]);
        assert!(received.ends_with("\nsent 0"), "{received}");
        assert!(!fs::exists(folder.path("uploads/a")).unwrap());
    });
}

/// Runs a script that uploads, if `probe` succeeds.
fn upload_by(client: &str, interpreter: &str, probe: &[&str], script: &str) {
    if !succeeds(command(&[interpreter]).args(probe)) {
        return skip(client);
    }
    serve(script, |_, address| {
        let mut uploader = command(&[interpreter]);
        uploader.arg(clients().join(script)).args([address, &BYTES_MAX.to_string()]);
        Running::spawn(&mut uploader).finish().assert_success();
    });
}

#[test]
fn nodes_fetch_uploads_a_stream() {
    upload_by("Node's fetch", "node", &["-e", "fetch"], "upload_with_node.js");
}

#[test]
fn aiohttp_uploads_a_stream() {
    upload_by("Python's aiohttp", "python3", &["-c", "import aiohttp"], "upload_with_aiohttp.py");
}
