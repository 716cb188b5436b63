use std::fmt;

/// Why arguments cannot be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArgumentsError {
    /// There is no argument with this index.
    Missing(usize),
    /// An argument is not of the type that is read, or a value has no form in JSON.
    Json(serde_json::Error),
    /// The values have more bytes to attach than
    /// [`MAX_ATTACHMENTS`](crate::socketio::packet::MAX_ATTACHMENTS): clients would disconnect.
    TooManyAttachments,
    /// A value beside attachments looks like a placeholder of one that does not exist: clients
    /// would disconnect.
    InvalidPlaceholder,
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(index) => write!(f, "there is no argument {index}"),
            Self::Json(error) => error.fmt(f),
            Self::TooManyAttachments => f.write_str("the arguments have too many attachments"),
            Self::InvalidPlaceholder => {
                f.write_str("an argument looks like a placeholder of no attachment")
            }
        }
    }
}

impl std::error::Error for ArgumentsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` shows the error of JSON itself, so that its source is the next one.
        match self {
            Self::Json(error) => error.source(),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for ArgumentsError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}
