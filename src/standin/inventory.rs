//! What servers tell of the tools beside what the world does: which system each belongs to, and what it is declared to do.

use std::collections::{BTreeMap, BTreeSet};

use super::relay::Relays;
use crate::{
    manifest::raw::Effect,
    world::{Offer, World},
};

/// What the manifest says of a tool, as far as a server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryTool {
    /// The system that it belongs to.
    pub system: String,
    /// What a call does.
    pub effect: Effect,
    /// Twice is once.
    pub is_idempotent: bool,
}

/// All tools of a run.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By name, as the manifest has them.
    pub tools: BTreeMap<String, InventoryTool>,
    /// What is offered while no trial is open: the tools of every world, each once.
    pub standing: Vec<Offer>,
    /// Tools that are forwarded in some scenarios.
    pub relays: Relays,
}

impl Inventory {
    /// The tools of the manifest, and what the worlds of the run offer.
    pub fn new<'w>(tools: BTreeMap<String, InventoryTool>, worlds: impl IntoIterator<Item = &'w World>) -> Self {
        let mut seen = BTreeSet::new();
        let offers = worlds.into_iter().flat_map(World::offers);
        let mut standing: Vec<Offer> = offers.filter(|offer| seen.insert(offer.name.clone())).collect();
        standing.sort_by(|a, b| a.name.cmp(&b.name));
        Self { tools, standing, relays: Relays::default() }
    }

    /// The same with tools that are forwarded; those of servers stand beside those of the worlds.
    #[must_use]
    pub fn with_relays(mut self, relays: Relays) -> Self {
        self.standing = filled_up(std::mem::take(&mut self.standing), &relays);
        self.relays = relays;
        self
    }

    /// What a trial offers: the tools of its world, and those of servers, which speak for themselves where calls leave.
    pub(super) fn with_forwarded(&self, mut offers: Vec<Offer>, system: Option<&str>, leaves: bool) -> Vec<Offer> {
        if leaves {
            for offer in &mut offers {
                let is_open = self.relays.way(&offer.name).is_some_and(|way| way.is_open);
                if let Some(theirs) = self.relays.offer(&offer.name).filter(|_| is_open) {
                    offer.clone_from(theirs);
                }
            }
        }
        let mut offers = filled_up(offers, &self.relays);
        offers.retain(|offer| self.is_of(&offer.name, system));
        offers
    }

    /// What is offered while no trial is open, by a server for one system or for all.
    pub(super) fn standing(&self, system: Option<&str>) -> Vec<Offer> {
        self.standing.iter().filter(|offer| self.is_of(&offer.name, system)).cloned().collect()
    }

    /// Whether a tool may be offered by a server for one system; a server for all offers every tool.
    pub(super) fn is_of(&self, tool: &str, system: Option<&str>) -> bool {
        system.is_none_or(|system| self.tools.get(tool).is_some_and(|listed| listed.system == system))
    }
}

/// A list of tools with those that only a server of staging has.
fn filled_up(mut offers: Vec<Offer>, relays: &Relays) -> Vec<Offer> {
    let lacking = |offer: &&Offer| !offers.iter().any(|known| known.name == offer.name);
    let more: Vec<Offer> = relays.offers().filter(lacking).cloned().collect();
    offers.extend(more);
    offers.sort_by(|a, b| a.name.cmp(&b.name));
    offers
}
