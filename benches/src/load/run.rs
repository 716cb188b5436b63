use super::course::Course;
use super::meter::Measurement;
use super::traffic::Load;
use super::{driver, handshakes};
use crate::error::Error;
use crate::machine::{self, Process};

/// Open files that the program needs besides its sockets.
const OTHER_FILES: usize = 64;

/// Opens the connections, runs the load and measures. `server` is the server's process, to read its
/// CPU time and its memory.
pub(crate) fn run(load: &Load, server: Option<Process>) -> Result<Measurement, Error> {
    let course = Course::of(load)?;
    make_room(load.traffic.connections())?;
    match course {
        Some(course) => driver::run(load, &course, server.map(Process::cpu)),
        None => handshakes::run(load, server),
    }
}

/// Raises the limit on open files for the connections.
fn make_room(connections: usize) -> Result<(), Error> {
    let wanted = (connections + OTHER_FILES) as u64;
    let limit = machine::raise_file_limit(wanted);
    if limit < wanted {
        return Err(Error::Settings(format!(
            "{connections} connections need {wanted} open files, the limit is {limit} (ulimit -n)"
        )));
    }
    Ok(())
}
