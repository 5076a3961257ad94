//! What is tried with software of others, which pip and npm install: left out of `cargo test`, which says so. `.ci/run` runs all.

use std::process::Command;

fn passes(script: &str) {
    let ran = Command::new("bash").arg(format!("tests/real/{script}")).output().expect("bash");
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success(), "{script}:\n{}\n{}", said[0], said[1]);
}

#[test]
#[ignore = "installs three agent SDKs by pip and npm; .ci/run runs it"]
fn agents_on_real_frameworks_are_checked_end_to_end() {
    passes("agents.sh");
}

#[test]
#[ignore = "installs MCP clients and a server by pip and npm; .ci/run runs it"]
fn the_official_mcp_clients_call_the_tools_of_the_gate() {
    passes("mcp_clients.sh");
}

#[test]
#[ignore = "installs AgentDojo by pip; .ci/run runs it"]
fn a_suite_of_agentdojo_is_imported_and_run() {
    passes("agentdojo.sh");
}

#[test]
#[ignore = "needs check-jsonschema, junitparser and markdown-it-py; .ci/run installs them and runs it"]
fn validators_of_others_accept_what_is_published() {
    passes("validators.sh");
}
