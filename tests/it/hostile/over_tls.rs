//! The whole family once more, over TLS.

use std::env;
use std::process::Command;

use super::service::OVER_TLS;

#[test]
fn every_case_holds_over_tls() {
    if env::var_os(OVER_TLS).is_some() {
        return;
    }
    let program = env::current_exe().expect("the path of this program");
    // Those which are over TLS anyhow have nothing to add.
    let args = ["hostile::", "--skip", "hostile::over_tls::", "--skip", "hostile::tls_"];
    let status = Command::new(program).args(args).env(OVER_TLS, "1").status();
    assert!(status.expect("run it again").success(), "what holds without TLS does not over it");
}
