//! A proxy that cuts connections.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on until it ends them.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Both streams of each connection.
    streams: Vec<TcpStream>,
    /// Nothing passes.
    is_cut: bool,
}

impl Proxy {
    pub(super) fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        // It ends with the test.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = shared.lock().unwrap();
                if state.is_cut {
                    continue;
                }
                // Without a server the client's connection ends.
                let Ok(server) = TcpStream::connect(&upstream) else { continue };
                state.streams.extend([clone(&client), clone(&server)]);
                pass_on(clone(&client), clone(&server));
                pass_on(server, client);
            }
        });
        Self { address, state }
    }

    /// Ends all connections in their midst. Returns how many there were.
    pub(super) fn end_all(&self) -> usize {
        self.state.lock().unwrap().end_all()
    }

    /// Ends all connections, and each further one until [`Self::mend`].
    #[cfg(feature = "socketio")]
    pub(super) fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = true;
        state.end_all();
    }

    /// Passes connections on again.
    #[cfg(feature = "socketio")]
    pub(super) fn mend(&self) {
        self.state.lock().unwrap().is_cut = false;
    }
}

impl State {
    fn end_all(&mut self) -> usize {
        let streams = std::mem::take(&mut self.streams);
        // One that has ended already cannot be shut down.
        streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        streams.len() / 2
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().unwrap()
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // An error is the end, too.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
