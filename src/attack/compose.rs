//! Which attacks: every pair of goal, carrier, technique and encoding first, then the rest in drawn order, tasks used
//! evenly. Chooses indices and knows no words.

use std::collections::{BTreeMap, BTreeSet};

use super::{aim::Aimed, draw::Draw};

/// A place in a task (or no task at all) by which a carrier reaches the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// `None` where the attacker's words stand alone.
    pub(super) host: Option<usize>,
    /// The slot of the host.
    pub(super) slot: Option<usize>,
}

/// What may be combined.
pub(super) struct Menu<'m> {
    pub(super) goals: &'m [Aimed],
    /// The places of each carrier.
    pub(super) places: Vec<Vec<Place>>,
    /// How many variants each technique has for each carrier; 0 where it does not fit.
    pub(super) variants: Vec<Vec<usize>>,
    pub(super) encodings: usize,
    /// Techniques that no encoding but the first, which is plain, may disguise.
    pub(super) plain: Vec<bool>,
    /// Whether a goal is an attack when it travels by a carrier.
    pub(super) fits: Vec<Vec<bool>>,
}

/// One attack, in indices of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Combination {
    pub(super) goal: usize,
    pub(super) carrier: usize,
    pub(super) technique: usize,
    pub(super) encoding: usize,
    pub(super) place: Place,
    pub(super) aim: usize,
    pub(super) variant: usize,
    pub(super) wording: usize,
}

const GOAL: usize = 0;
const CARRIER: usize = 1;
const TECHNIQUE: usize = 2;
const ENCODING: usize = 3;

/// Two dimensions with one value each.
type Pair = (usize, usize, usize, usize);
/// One value for each of the four dimensions.
type Parts = [usize; 4];

/// Candidates from which the best next attack is taken.
const CANDIDATES: usize = 8;
/// So many of so many attacks wear no disguise, as long as no pair asks for one.
const PLAIN: (usize, usize) = (1, 3);
/// Draws after which a combination counts as impossible.
const PATIENCE: usize = 96;

pub(super) fn compose(menu: &Menu<'_>, count: usize, seed: u64) -> Vec<Combination> {
    let mut composer = Composer::new(menu, seed);
    let mut chosen = Vec::new();
    let mut failed = 0;
    while chosen.len() < count && failed < 200 {
        match composer.next() {
            Some(combination) => {
                chosen.push(combination);
                failed = 0;
            }
            None => failed += 1,
        }
    }
    chosen
}

struct Composer<'m> {
    menu: &'m Menu<'m>,
    draw: Draw,
    open: Vec<Pair>,
    covered: Pairs,
    used: BTreeSet<Combination>,
    /// How many of them wear no disguise.
    plain: usize,
    of_goal: BTreeMap<usize, usize>,
    of_host: BTreeMap<Option<usize>, usize>,
    places: Shared,
}

/// By goal and carrier, the places of the carrier where the goal has an aim.
struct Shared(Vec<Vec<Vec<Place>>>);

impl Shared {
    fn of(&self, goal: usize, carrier: usize) -> &[Place] {
        self.0.get(goal).and_then(|row| row.get(carrier)).map_or(&[], Vec::as_slice)
    }
}

/// A set of pairs, of which there are many and each is asked for often.
struct Pairs {
    sizes: Parts,
    marks: Vec<bool>,
}

impl Pairs {
    fn new(menu: &Menu<'_>) -> Self {
        let sizes = sizes(menu);
        let all: usize = sizes.iter().sum();
        Self { sizes, marks: vec![false; all * all] }
    }

    /// Values of all dimensions are numbered through, and pairs by two of these numbers.
    fn place(&self, (a, x, b, y): Pair) -> usize {
        let before = |dimension: usize| self.sizes.iter().take(dimension).sum::<usize>();
        (before(a) + x) * self.sizes.iter().sum::<usize>() + before(b) + y
    }

    /// Adds the pairs of a possible attack.
    fn add_all(&mut self, parts: Parts) {
        for pair in pairs_of(parts) {
            let place = self.place(pair);
            if let Some(mark) = self.marks.get_mut(place) {
                *mark = true;
            }
        }
    }

    fn has(&self, pair: Pair) -> bool {
        self.marks.get(self.place(pair)).copied().unwrap_or_default()
    }

    /// All of them in their order.
    fn sorted(&self) -> Vec<Pair> {
        let values = |(dimension, size): (usize, &usize)| (0..*size).map(move |value| (dimension, value));
        let values: Vec<(usize, usize)> = self.sizes.iter().enumerate().flat_map(values).collect();
        let pairs = values.iter().flat_map(|(a, x)| values.iter().map(move |(b, y)| (*a, *x, *b, *y)));
        pairs.filter(|pair| self.has(*pair)).collect()
    }
}

fn sizes(menu: &Menu<'_>) -> Parts {
    [menu.goals.len(), menu.places.len(), menu.variants.len(), menu.encodings]
}

impl<'m> Composer<'m> {
    fn new(menu: &'m Menu<'m>, seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let places = shared_places(menu);
        let mut open = pairs(menu, &places);
        draw.shuffle(&mut open);
        // Taken from the end: techniques and encodings last, of which there are more pairs than attacks in a usual set.
        open.sort_by_key(|(a, _, b, _)| (*a, *b) != (TECHNIQUE, ENCODING));
        Self {
            menu,
            draw,
            open,
            covered: Pairs::new(menu),
            used: BTreeSet::new(),
            plain: 0,
            of_goal: BTreeMap::new(),
            of_host: BTreeMap::new(),
            places,
        }
    }

    fn next(&mut self) -> Option<Combination> {
        let parts = self.next_parts()?;
        for _ in 0..PATIENCE {
            let combination = self.placed(parts)?;
            if self.used.insert(combination) {
                self.covered.add_all(parts);
                self.plain += usize::from(parts[ENCODING] == 0);
                *self.of_goal.entry(parts[GOAL]).or_default() += 1;
                *self.of_host.entry(combination.place.host).or_default() += 1;
                return Some(combination);
            }
        }
        None
    }

    /// The candidate that covers the most pairs that nothing covered yet.
    fn next_parts(&mut self) -> Option<Parts> {
        while let Some(pair) = self.open.last().copied() {
            if self.covered.has(pair) {
                self.open.pop();
                continue;
            }
            let candidates: Vec<Parts> = (0..CANDIDATES).filter_map(|_| self.around(pair)).collect();
            let gain = |parts: &Parts| pairs_of(*parts).iter().filter(|pair| !self.covered.has(**pair)).count();
            let rare = |parts: &Parts| usize::MAX - self.of_goal.get(&parts[GOAL]).copied().unwrap_or_default();
            if let Some(best) = candidates.into_iter().max_by_key(|parts| (gain(parts), rare(parts))) {
                return Some(best);
            }
            // Nothing can be put around it.
            self.open.pop();
        }
        let plain = self.is_plain_due().then_some(0);
        (0..PATIENCE).find_map(|_| self.drawn([None, None, None, plain]))
    }

    /// Whether the next attack stays undisguised where nothing else is asked for: an agent that can't read a disguise
    /// is not tried by it.
    fn is_plain_due(&self) -> bool {
        let (of, plain) = (self.used.len(), self.plain);
        plain * PLAIN.1 < of * PLAIN.0
    }

    fn around(&mut self, (a, x, b, y): Pair) -> Option<Parts> {
        let mut fixed = [None; 4];
        if self.is_plain_due() {
            fixed[ENCODING] = Some(0);
        }
        *fixed.get_mut(a)? = Some(x);
        *fixed.get_mut(b)? = Some(y);
        (0..PATIENCE).find_map(|_| self.drawn(fixed))
    }

    /// Draws what is not fixed; nothing when it does not fit together.
    fn drawn(&mut self, fixed: [Option<usize>; 4]) -> Option<Parts> {
        let sizes = sizes(self.menu);
        let mut parts = [0; 4];
        for ((part, fixed), size) in parts.iter_mut().zip(fixed).zip(sizes) {
            *part = fixed.unwrap_or_else(|| self.draw.below(size));
        }
        is_possible(self.menu, &self.places, parts).then_some(parts)
    }

    /// The least used of a few drawn places, with an aim and a variant.
    fn placed(&mut self, parts: Parts) -> Option<Combination> {
        let [goal, carrier, technique, encoding] = parts;
        let places = self.places.of(goal, carrier);
        let drawn: Vec<Place> = (0..3).filter_map(|_| self.draw.pick(places).copied()).collect();
        let place = drawn.into_iter().min_by_key(|place| self.of_host.get(&place.host).copied().unwrap_or_default())?;
        let aims = self.menu.goals.get(goal)?.at(place.host).len();
        let variants = self.menu.variants.get(technique)?.get(carrier).copied()?;
        let wordings = self.menu.goals.get(goal)?.goal.demand.len();
        Some(Combination {
            goal,
            carrier,
            technique,
            encoding,
            place,
            aim: self.draw.below(aims),
            variant: self.draw.below(variants),
            wording: self.draw.below(wordings),
        })
    }
}

fn shared_places(menu: &Menu<'_>) -> Shared {
    let of = |(goal, aimed): (usize, &Aimed)| {
        let row = menu.places.iter().enumerate().map(|(carrier, places)| {
            let fits = menu.fits.get(goal).and_then(|row| row.get(carrier)).copied().unwrap_or_default();
            places.iter().filter(|place| fits && !aimed.at(place.host).is_empty()).copied().collect()
        });
        row.collect()
    };
    Shared(menu.goals.iter().enumerate().map(of).collect())
}

fn is_possible(menu: &Menu<'_>, places: &Shared, parts: Parts) -> bool {
    let [goal, carrier, technique, encoding] = parts;
    let variants = menu.variants.get(technique).and_then(|row| row.get(carrier)).copied().unwrap_or_default();
    let is_plain = menu.plain.get(technique).copied().unwrap_or_default();
    variants > 0 && !places.of(goal, carrier).is_empty() && (encoding == 0 || !is_plain)
}

fn pairs_of(parts: Parts) -> [Pair; 6] {
    let [g, c, t, e] = parts;
    [
        (GOAL, g, CARRIER, c),
        (GOAL, g, TECHNIQUE, t),
        (GOAL, g, ENCODING, e),
        (CARRIER, c, TECHNIQUE, t),
        (CARRIER, c, ENCODING, e),
        (TECHNIQUE, t, ENCODING, e),
    ]
}

/// Every pair that some possible attack covers.
fn pairs(menu: &Menu<'_>, places: &Shared) -> Vec<Pair> {
    let mut found = Pairs::new(menu);
    for goal in 0..menu.goals.len() {
        for carrier in 0..menu.places.len() {
            for technique in 0..menu.variants.len() {
                let last = if menu.plain.get(technique).copied().unwrap_or_default() { 1 } else { menu.encodings };
                let possible = |encoding: &usize| is_possible(menu, places, [goal, carrier, technique, *encoding]);
                for encoding in (0..last).filter(possible) {
                    found.add_all([goal, carrier, technique, encoding]);
                }
            }
        }
    }
    found.sorted()
}

#[cfg(test)]
pub(super) fn uncovered(menu: &Menu<'_>, chosen: &[Combination]) -> (usize, usize) {
    let covered: BTreeSet<Pair> =
        chosen.iter().flat_map(|c| pairs_of([c.goal, c.carrier, c.technique, c.encoding])).collect();
    let open: Vec<Pair> =
        pairs(menu, &shared_places(menu)).into_iter().filter(|pair| !covered.contains(pair)).collect();
    let dressed = open.iter().filter(|(a, _, b, _)| (*a, *b) == (TECHNIQUE, ENCODING)).count();
    (open.len() - dressed, dressed)
}
