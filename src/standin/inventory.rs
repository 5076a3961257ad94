//! What servers tell of the tools beside what the world does: which system each belongs to, and what it is declared to do.

use std::collections::{BTreeMap, BTreeSet};

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
}

impl Inventory {
    /// The tools of the manifest, and what the worlds of the run offer.
    pub fn new<'w>(tools: BTreeMap<String, InventoryTool>, worlds: impl IntoIterator<Item = &'w World>) -> Self {
        let mut seen = BTreeSet::new();
        let offers = worlds.into_iter().flat_map(World::offers);
        let mut standing: Vec<Offer> = offers.filter(|offer| seen.insert(offer.name.clone())).collect();
        standing.sort_by(|a, b| a.name.cmp(&b.name));
        Self { tools, standing }
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
