/// Which end of a connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// This program accepted the connection. It receives masked frames and sends unmasked ones.
    Server,
    /// This program made the connection. It sends masked frames and receives unmasked ones.
    Client,
}
