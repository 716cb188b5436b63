//! Uploads by curl, Node and aiohttp to the example `upload`, directly and behind nginx.

use super::client::{AIOHTTP, CURL, Client, NODE};
use super::folder::Folder;
use super::nginx::directly_and_behind_nginx;
use super::server::Daemon;

/// The longest that the example accepts, and what the guide lets nginx pass on.
const BYTES_MAX: usize = 8 * 1024 * 1024;

#[test]
fn curl_uploads_with_and_without_a_length_or_a_question() {
    upload_by(CURL, "upload_with_curl.sh");
}

#[test]
fn curl_learns_that_a_file_is_too_long() {
    upload_by(CURL, "upload_too_much_with_curl.sh");
}

#[test]
fn nodes_fetch_uploads_a_stream() {
    upload_by(NODE, "upload_with_node.js");
}

#[test]
fn aiohttp_uploads_a_stream() {
    upload_by(AIOHTTP, "upload_with_aiohttp.py");
}

/// Runs a script with the address of the example, the length of a body that is just accepted, and
/// a folder, where the example keeps `uploads`.
fn upload_by(client: Client, script: &str) {
    let Some(client) = client.find() else { return };
    let folder = Folder::new();
    let server = Daemon::example("upload", &[&folder.path("uploads")]);
    let (max, path) = (BYTES_MAX.to_string(), folder.path(""));
    directly_and_behind_nginx(&server.address, |address| {
        client.run(script, &[address, &max, &path]);
    });
}
