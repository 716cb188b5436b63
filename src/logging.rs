//! Lines for the `log` facade, with the feature `log`; without it they are not even made.

/// Writes a line at a level of `log`'s: which connection or listener it is about, and why.
macro_rules! log_line {
    ($level:ident, $($text:tt)+) => {{
        #[cfg(feature = "log")]
        log::$level!(target: "eventwire", $($text)+);
        // Named all the same, so that it makes no difference to what is used.
        #[cfg(not(feature = "log"))]
        if false {
            let _ = format_args!($($text)+);
        }
    }};
}

pub(crate) use log_line;
