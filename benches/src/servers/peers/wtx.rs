//! wtx, set up as in its authors' benchmark: one buffer per connection, frames written back as they
//! were read. It has no broadcast function.

use tokio::net::TcpStream;
use wtx::collection::Vector;
use wtx::rng::{Xorshift64, simple_seed};
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin};

use super::runtime;
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    runtime::serve(config, ready, |stream| tokio::task::unconstrained(echo(stream)))
}

async fn echo(stream: TcpStream) -> wtx::Result<()> {
    let rng = Xorshift64::from(simple_seed());
    let mut ws = WebSocketAcceptor::default().rng(rng).accept(stream).await?;
    let (mut common, mut reader, mut writer) = ws.split_mut();
    let mut buffer = Vector::new();
    loop {
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match frame.op_code() {
            OpCode::Binary | OpCode::Text => writer.write_frame(&mut common, &mut frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
