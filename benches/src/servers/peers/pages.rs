//! Other HTTP servers, as their authors set them up in their examples.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use may_minihttp::{HttpService, HttpServiceFactory};

use super::runtime;
use crate::error::Error;
use crate::servers::bare::listen;
use crate::servers::page::PAGE;
use crate::service::{ReadyLine, ServiceConfig};

/// hyper, with responses to pipelined requests gathered.
pub(crate) fn hyper(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    runtime::serve(config, ready, |stream| {
        let service = service_fn(|_| async {
            let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok::<_, Infallible>(response)
        });
        let mut server = http1::Builder::new();
        server.pipeline_flush(true).serve_connection(TokioIo::new(stream), service)
    })
}

struct Page;

impl HttpService for Page {
    fn call(
        &mut self,
        _: may_minihttp::Request<'_, '_, '_>,
        response: &mut may_minihttp::Response<'_>,
    ) -> io::Result<()> {
        response.header("Content-Type: text/plain; charset=utf-8").body(PAGE);
        Ok(())
    }
}

struct Pages;

impl HttpServiceFactory for Pages {
    type Service = Page;

    fn new_service(&self, _: usize) -> Page {
        Page
    }
}

/// `may_minihttp`, whose coroutines run on one worker.
pub(crate) fn may_minihttp(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let cannot_listen = || Error::system(format!("cannot listen on {}", config.address));
    may::config().set_workers(1);
    // It binds by itself, so a free port is found before.
    let (listener, address) = listen(&config.address).map_err(cannot_listen())?;
    drop(listener);
    let _server = Pages.start(address).map_err(cannot_listen())?;
    let (stop, stopped) = mpsc::channel();
    let stop = move || {
        // The receiver waits for exactly this.
        let _ = stop.send(());
    };
    ready.listening(address, Box::new(stop));
    // The process ends, and the coroutines with it.
    let _ = stopped.recv();
    Ok(())
}
