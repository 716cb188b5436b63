//! Lines for the `log` facade. Without the feature `log` they are not even formatted.

/// Writes a line at one of `log`'s levels. A line says which connection or listener it concerns,
/// and why.
macro_rules! log_line {
    ($level:ident, $($text:tt)+) => {{
        #[cfg(feature = "log")]
        log::$level!(target: "eventwire", $($text)+);
        // The arguments count as used without the feature, too.
        #[cfg(not(feature = "log"))]
        if false {
            let _ = format_args!($($text)+);
        }
    }};
}

pub(crate) use log_line;
