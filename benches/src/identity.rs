//! The identity of `serve --tls`: `localhost`, with a self-signed certificate whose key is public.
//! For tests and benchmarks only.

use eventwire::{TlsClient, TlsServer};

use crate::error::Error;

const CHAIN: &[u8] = include_bytes!("../../tests/it/tls/one.pem");
const KEY: &[u8] = include_bytes!("../../tests/it/tls/one-key.pem");

/// A server with this identity.
pub(crate) fn server() -> Result<TlsServer, Error> {
    TlsServer::from_pem(CHAIN, KEY).map_err(|error| Error::Settings(error.to_string()))
}

/// A client that trusts this identity, without a cached session.
pub(crate) fn client() -> Result<TlsClient, Error> {
    TlsClient::from_pem(CHAIN).map_err(|error| Error::Settings(error.to_string()))
}
