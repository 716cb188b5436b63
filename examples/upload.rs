//! Uploads: a worker writes each file, and the answer comes once it is on disk.
//!
//! `cargo run --example upload -- 127.0.0.1:9001 uploads`, and then
//! `curl --data-binary @photo.jpg http://127.0.0.1:9001/files/photo.jpg`. The answer is JSON:
//! `{"name":"photo.jpg","bytes":81920,"sha1":"…"}`. A file is at its name whole or not at all,
//! whenever the program is killed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eventwire::{
    Config, EventLoop, HttpRequest, HttpResponse, JobPanicked, Later, Responder, Routes,
    ServerConfig,
};
use sha1::{Digest, Sha1};

/// A longer body gets 413 from the loop, before it is read.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A job: a file to write, and the means to answer.
struct Upload {
    responder: Responder,
    name: String,
    body: Vec<u8>,
}

/// A name that is safe in a folder and in JSON.
fn file_name<'r>(request: &HttpRequest<'r>) -> Option<&'r str> {
    let name = request.path().strip_prefix("/files/")?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=100).contains(&name.len()) && !name.starts_with('.');
    (is_name && name.bytes().all(is_safe)).then_some(name)
}

/// Writes a file beside its place, and moves it there when the disk has all of it.
fn write(folder: &Path, upload: &Upload) -> io::Result<()> {
    // No name that is accepted begins with a dot, and no two workers write the same upload.
    let draft = folder.join(format!(".{:?}", upload.responder.request()));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(&upload.body)?;
        file.sync_all()?;
        fs::rename(&draft, folder.join(&upload.name))?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // It may not exist.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn store(folder: &Path, upload: Upload) {
    // A client that did not wait saves the work.
    if upload.responder.is_wanted() {
        let response = match write(folder, &upload) {
            Ok(()) => {
                let hash = Sha1::digest(&upload.body);
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                let (name, bytes) = (&upload.name, upload.body.len());
                HttpResponse::json(format!(
                    r#"{{"name":"{name}","bytes":{bytes},"sha1":"{hash}"}}"#
                ))
            }
            Err(error) => {
                eprintln!("{}: {error}", upload.name);
                HttpResponse::new(500)
            }
        };
        // The file is there, even if the client has left meanwhile.
        let _ = upload.responder.respond(response);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "uploads".to_owned()));
    let jobs_max = arguments.next().map_or(Ok(64), |number| number.parse())?;
    fs::create_dir_all(&folder)?;

    let mut event_loop = EventLoop::new(Config::default())?;
    let uploads = event_loop.workers(2, jobs_max, move |job| store(&folder, job))?;
    // The responder of such a job was dropped, which has answered with 500.
    event_loop.on(|_, panicked: &JobPanicked, _: &mut ()| eprintln!("{}", panicked.message));

    let routes = Routes::new().post("/files/*", move |conn, request, _| {
        // A request without a body is no upload, and must not empty a file.
        let Some(name) = file_name(request).filter(|_| !request.body().is_empty()) else {
            return Err(HttpResponse::new(400));
        };
        let (name, body) = (name.to_owned(), request.body().to_vec());
        let upload = Upload { responder: conn.responder(), name, body };
        // As many wait as may. The loop does not.
        uploads.submit(upload).map_err(|_| HttpResponse::new(503))?;
        Ok(Later::default())
    });
    let config = ServerConfig::default().max_body(BYTES_MAX);
    let listener = event_loop.listen(&*address, config, routes)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on http://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
