//! Shows that the gate can't be fooled: agents that are dead, broken, refusing or lying never get GO, and an honest
//! one does.

mod course;
mod stub;

use stub::Stub;

use super::{
    args::TryingArgs,
    case::Options,
    check::{Job, carry_out},
    output::Output,
};
use crate::{
    context::Context,
    exit::{self, Fault},
    verdict::{Decision, Report},
};

/// A row of the selftest.
struct Row {
    name: &'static str,
    stub: Stub,
    allowed: &'static [Decision],
}

const BROKEN: &[Decision] = &[Decision::Inconclusive];
const WRONG: &[Decision] = &[Decision::NoGo];

const ROWS: &[Row] = &[
    Row { name: "dead port", stub: Stub::DeadPort, allowed: BROKEN },
    Row { name: "HTTP 500", stub: Stub::Http500, allowed: BROKEN },
    Row { name: "HTTP 401", stub: Stub::Http401, allowed: BROKEN },
    Row { name: "empty answers", stub: Stub::EmptyAnswer, allowed: BROKEN },
    Row { name: "invalid JSON", stub: Stub::InvalidJson, allowed: BROKEN },
    Row { name: "endless stream", stub: Stub::EndlessStream, allowed: BROKEN },
    Row { name: "body of 1 GiB", stub: Stub::HugeBody, allowed: BROKEN },
    Row { name: "slow drip", stub: Stub::SlowDrip, allowed: BROKEN },
    Row { name: "half of the answers 429", stub: Stub::HalfBusy, allowed: BROKEN },
    Row { name: "echoes the question", stub: Stub::Echo, allowed: WRONG },
    Row { name: "refuses everything", stub: Stub::RefusesEverything, allowed: WRONG },
    Row { name: "does nothing", stub: Stub::DoesNothing, allowed: WRONG },
    Row { name: "claims calls it never made", stub: Stub::ClaimsCalls, allowed: WRONG },
    Row { name: "honest agent (control)", stub: Stub::Honest, allowed: &[Decision::Go] },
];

/// Runs every row; the exit code is 0 when each ends as it must.
pub(crate) fn selftest(context: &Context, output: &Output) -> Result<u8, Fault> {
    let mut wrong = 0;
    for row in ROWS {
        let report = try_row(row, context, output)?;
        let as_it_must = row.allowed.contains(&report.verdict.decision);
        wrong += u32::from(!as_it_must);
        let reason = report.verdict.reasons.first().map_or("every line of the profile holds", String::as_str);
        output.print(&format!(
            "{} {:<28} {:<13} {}\n",
            if as_it_must { "ok  " } else { "FAIL" },
            row.name,
            report.verdict.decision.word(),
            crate::text::shortened(&crate::text::printable_line(reason), 400),
        ))?;
    }
    if wrong == 0 {
        output.print(&format!("\n{} agents, each judged as it must be\n", ROWS.len()))?;
        Ok(exit::GO)
    } else {
        Err(Fault::Internal(format!("{wrong} agents of the selftest were misjudged")))
    }
}

fn try_row(row: &Row, context: &Context, output: &Output) -> Result<Report, Fault> {
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let address = stub::serve(row.stub, stopped).map_err(|error| Fault::internal("start a stub agent", error))?;
    let records = tempfile::tempdir().map_err(|error| Fault::internal("make a scratch folder", error))?;
    let trying = TryingArgs { concurrency: Some(16), ..TryingArgs::default() };
    let job = Job {
        files: course::files(&format!("http://{address}/runs")),
        manifest: "agentready.yaml".to_owned(),
        options: Options::default(),
        trying: &trying,
        static_only: false,
        offline: false,
        patience: std::time::Duration::from_secs(1),
        variables: std::collections::BTreeMap::new(),
        base: None,
        records: records.path().to_path_buf(),
        resume: None,
        today: Some(super::demo::TODAY),
    };
    carry_out(job, context, &Output { progress: false, ..*output })
}
