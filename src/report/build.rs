//! Puts the parts of a judged run into the frozen model.

use std::borrow::Cow;

use crate::{
    checklist::{self, Assessment},
    drill::Section,
    facts,
    gate::{self, Measured},
    verdict::{Agent, Check, Drill, Finding, Report, Rule, Run, Source, ToGo, Tool, Verdict, Waiver},
};

/// What a report is made of.
pub struct Parts {
    /// The run.
    pub run: Run,
    /// The agent under test.
    pub agent: Agent,
    /// The answer.
    pub verdict: Verdict,
    /// What would turn it into GO.
    pub to_go: ToGo,
    /// Numbers over grades.
    pub measured: Measured,
    /// Drills with a scripted model.
    pub drills: Vec<Section>,
    /// The checklist as it stands.
    pub assessment: Assessment,
    /// Where the facts come from.
    pub sources: Vec<Source>,
    /// What the reader should know beside.
    pub notes: Vec<String>,
}

/// Makes the report; secrets that are written out in what others said are masked in it.
pub fn build(parts: Parts) -> Report {
    let Parts { run, agent, verdict, to_go, measured, drills, assessment, sources, mut notes } = parts;
    notes.extend(assessment.notes.iter().cloned());
    let mut report = Report {
        report: 1,
        tool: Tool { name: "agentready".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        run,
        agent,
        verdict,
        trials: measured.trials,
        suites: measured.suites,
        attacks: measured.attacks,
        drills: drills.into_iter().map(drill).collect(),
        traced: measured.traced,
        metrics: measured.metrics,
        checks: assessment.checks.iter().map(check).collect(),
        ladder: gate::ladder(&assessment.checks),
        to_go,
        rules: assessment.rules.iter().map(rule).collect(),
        findings: assessment.findings.iter().map(finding).collect(),
        failures: measured.failures,
        scenarios: measured.scenarios,
        waivers: assessment.waivers.iter().map(waiver).collect(),
        sources,
        notes,
    };
    report.each_text(&mut |text| {
        if let Cow::Owned(masked) = facts::masked(text) {
            *text = masked;
        }
    });
    report
}

fn drill(section: Section) -> Drill {
    let Section { name, title, cases, held, broken, unsure, idle, tools: _ } = section;
    Drill { name, title, cases, held, broken, unsure, idle }
}

fn check(result: &checklist::CheckResult) -> Check {
    Check {
        id: result.id.clone(),
        title: result.title.clone(),
        severity: result.severity.word().to_owned(),
        rung: result.rung.word().to_owned(),
        needed: result.needed.word().to_owned(),
        met: result.met,
        applies: result.applies,
        waived: result.waived,
        inconclusive: result.inconclusive,
        demanded: result.demanded,
        evidence: result.evidence.clone(),
        waits: result.waits.clone(),
    }
}

fn rule(rule: &checklist::RuleResult) -> Rule {
    Rule {
        profile: rule.profile.clone(),
        says: rule.says.clone(),
        met: rule.met,
        inconclusive: rule.inconclusive,
        stands: rule.stands.clone(),
        checks: rule.checks.clone(),
    }
}

fn finding(finding: &checklist::Finding) -> Finding {
    Finding {
        check: finding.check.clone(),
        severity: finding.severity.word().to_owned(),
        message: finding.message.clone(),
        fix: finding.fix.clone(),
        rung: finding.rung.word().to_owned(),
        needed: finding.needed.word().to_owned(),
        location: finding.location.clone(),
        place: finding.place.clone(),
        missing: finding.missing,
        excerpt: finding.excerpt.clone(),
        blocks: finding.blocks,
        also: finding.also.clone(),
    }
}

fn waiver(waiver: &checklist::Waiver) -> Waiver {
    Waiver {
        check: waiver.claim.check.clone(),
        reason: waiver.claim.reason.clone(),
        approved_by: waiver.claim.approved_by.clone(),
        expires: waiver.claim.expires.clone(),
        state: waiver.state.word().to_owned(),
    }
}
