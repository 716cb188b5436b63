/// Which end of a connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepted the connection: receives masked frames, sends unmasked ones.
    Server,
    /// Made the connection: sends masked frames, receives unmasked ones.
    Client,
}
