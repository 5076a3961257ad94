//! `serve`: the tools of one scenario by themselves, to try an agent or a client against; with `--stdio` as the server that an
//! agent spawns, which hands on to the gate's own tools when the gate started the agent.

use std::time::Duration;

use tokio::io::BufReader;

use super::{
    args::ServeArgs,
    case::{self, Case, Options},
    check, demo, forward,
    output::Output,
    raise,
};
use crate::{
    agent,
    context::Context,
    exit::{self, Fault},
    plan::Selection,
    record::{Call, Passage},
    report,
    standin::{self, Gateway, Token},
    world::Play,
};

/// How often new calls are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `serve`.
pub(crate) fn serve(args: &ServeArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let runtime = check::runtime()?;
    if let Some(url) = args.to.as_ref().filter(|_| args.stdio) {
        return runtime.block_on(bridge(url)).map(|()| exit::GO);
    }
    let case = load(args, context)?;
    runtime.block_on(stand(&case, context, args, output)).map(|()| exit::GO)
}

fn load(args: &ServeArgs, context: &Context) -> Result<Case, Fault> {
    let (files, manifest) = if args.demo {
        (demo::files(), demo::MANIFEST.to_owned())
    } else {
        case::find(args.manifest.as_deref(), &context.cwd, false)?
    };
    let selection = Selection { filters: args.scenario.iter().cloned().collect(), ..Selection::default() };
    // Attacks are made only for somebody who asks for one by name.
    let attacks = args.scenario.is_none().then_some(0);
    Case::load(files, &manifest, &Options { selection, attacks, ..Options::default() })
}

async fn stand(case: &Case, context: &Context, args: &ServeArgs, output: &Output) -> Result<(), Fault> {
    let relays = forward::relays(case, context, (false, false)).await;
    let (relays, _) = relays.map_err(|fallen| {
        let unreachable = |why| Fault::usage(why, "start it, or take `forward` out of the manifest");
        fallen.map_or_else(|fault| fault, unreachable)
    })?;
    let gateway = Gateway::start(raise::inventory(case).with_relays(relays)).await;
    let gateway = gateway.map_err(|error| Fault::internal("start the stand-ins", error))?;
    let planned = case.plan.trials.first().expect("a case plans at least one trial");
    let scenario = case.plan.scenario(planned);
    let world = case.worlds.get(planned.scenario).cloned().expect("one world for each planned scenario");
    let play = Play::new(world, &scenario.given).map_err(|message| Fault::internal("set up the world", message))?;
    let (token, lane) = (Token::random(), gateway.lane());
    gateway.open(&token, Some(&lane), play.with_faults(&scenario.faults));
    if !scenario.needs_world() {
        gateway.forward(&token);
    }
    let url = gateway.lane_url(&lane, None);
    output.say(&format!("the tools of scenario `{}`; Ctrl-C ends", scenario.id));
    let serving = async {
        if args.stdio {
            return bridge(&url).await;
        }
        output.print(&format!("{url}\n"))?;
        std::future::pending().await
    };
    let showing = async {
        let mut shown = 0;
        loop {
            tokio::time::sleep(LOOK).await;
            shown += show(&gateway.ledger(&token), shown, output);
        }
    };
    tokio::select! {
        ended = serving => ended,
        () = showing => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Shows the calls that came since, up to one whose answer is still to come; how many there were.
fn show(ledger: &[Call], shown: usize, output: &Output) -> usize {
    let is_there = |call: &&Call| call.forwarded.as_ref().is_none_or(|way| way.passage != Passage::Sent);
    let new = ledger.iter().skip(shown).take_while(is_there);
    new.map(|call| output.say(&report::call_line(call))).count()
}

async fn bridge(url: &str) -> Result<(), Fault> {
    let parsed = reqwest::Url::parse(url).ok().zip(agent::plain_client(url));
    let (url, http) = parsed.ok_or_else(|| {
        let shown = crate::text::printable_line(url);
        Fault::usage(
            format!("`{shown}` is no URL of tools"),
            "the gate gives one: `gate:tools` under `endpoint.stand_ins`",
        )
    })?;
    let (input, output) = (BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    standin::bridge(http, url, input, output).await.map_err(|error| Fault::internal("speak over stdio", error))
}
