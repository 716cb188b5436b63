//! Python's aiohttp.

use super::client::run;

#[test]
fn aiohttp_gets_back_what_it_sends() {
    run("Python's aiohttp", &["python3"], ["-c", "import aiohttp"], "with_aiohttp.py");
}
