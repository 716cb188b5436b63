//! Fuzz targets of the protocol. What they do lies in `bodies`, which the library's ordinary tests
//! include and run over the same seeds.

#![forbid(unsafe_code)]

mod bodies;

/// Runs the target called `name` over one input.
///
/// # Panics
///
/// When the library breaks a promise, and when there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = bodies::TARGETS.iter().find(|(target, _)| *target == name);
    let (_, body) = target.expect("a target of this name");
    body(data);
}
