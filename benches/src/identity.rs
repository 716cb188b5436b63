//! Who `serve --tls` is: `localhost`, by a certificate that vouches for itself and whose key
//! everybody can read. It is for tests and figures alone.

use eventwire::{TlsClient, TlsServer};

use crate::error::Error;

const CHAIN: &[u8] = include_bytes!("../../tests/it/tls/one.pem");
const KEY: &[u8] = include_bytes!("../../tests/it/tls/one-key.pem");

/// A server that is it.
pub(crate) fn server() -> Result<TlsServer, Error> {
    TlsServer::from_pem(CHAIN, KEY).map_err(|error| Error::Settings(error.to_string()))
}

/// A client that believes it, and remembers no session yet.
pub(crate) fn client() -> Result<TlsClient, Error> {
    TlsClient::from_pem(CHAIN).map_err(|error| Error::Settings(error.to_string()))
}
