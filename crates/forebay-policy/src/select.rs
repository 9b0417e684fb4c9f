//! Who may be picked at all, and with which weight: tiers, panic, slow start.

#[cfg(test)]
mod tests;

/// By how much weights are multiplied while an endpoint starts slowly, so that even a weight of 1 has parts.
const SCALE: u32 = 100;

/// An endpoint that starts slowly has at least this part of its weight: with less it would hardly warm up.
const RAMP_MIN: f32 = 0.1;

/// One endpoint of a service that could be picked. One that was taken out by hand, drained or disabled, is not a
/// candidate: panic would bring it back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Whether, as far as is known, it would answer: it is not down, not ejected, and checked if it has to be.
    pub usable: bool,
    /// As written in the settings. 0 counts as 1.
    pub weight: u32,
    /// Its tier; lesser ones are better.
    pub priority: u8,
    /// How far its slow start has come, from 0 to 1 (over, or none at all).
    pub ramp: f32,
}

/// Who may be picked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Indices of candidates, in order, each with its effective weight, at least 1. Only ratios between the
    /// weights mean anything.
    pub picks: Vec<(usize, u32)>,
    /// The tier that decided: the first with enough usable endpoints, or in panic the one that is used whole. 0 if
    /// there are no candidates.
    pub priority: u8,
    /// Whether endpoints that are not usable are among the picks.
    pub panic: bool,
}

/// Selects among the endpoints of one service.
///
/// Endpoints of the same priority form a tier. A tier has *enough* usable endpoints if it has at least one and they
/// are at least `panic_below` percent of it, counted by heads.
///
/// - From the best tier on, the usable endpoints of each are taken, up to and including the first tier that has
///   enough. So if the best tier has enough, it is used alone; if it has a few, they go on working beside the next
///   tier; if it has none, the next tier takes all.
/// - If no tier has enough, there is *panic*: the best tier that has any usable endpoint (if none has any, the best
///   of all) is used whole, as its checks are likely to be wrong or its load too much for the few, and beside
///   it the usable ones of all others. Panic never takes anybody away.
/// - If `panic_below` is 0 there is no panic, one usable endpoint is enough, and there may be no picks. More than
///   100 counts as 100.
///
/// Slow start: if one of the picks has not come to 1, all weights are multiplied by the same number, and each by its
/// own `ramp`, at least 0.1; else weights stay as they are.
#[must_use]
pub fn select(candidates: &[Candidate], panic_below: u8) -> Selection {
    let mut tiers: Vec<u8> = candidates.iter().map(|candidate| candidate.priority).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let Some(best) = tiers.first().copied() else { return Selection::default() };
    let enough = tiers.iter().copied().find(|tier| has_enough(candidates, *tier, panic_below));
    let panic = enough.is_none() && panic_below > 0;
    let some = || tiers.iter().copied().find(|tier| usable(candidates, *tier) > 0);
    let priority = enough.or_else(some).unwrap_or(best);
    let is_picked = |candidate: &Candidate| {
        if panic {
            candidate.usable || candidate.priority == priority
        } else {
            candidate.usable && candidate.priority <= priority
        }
    };
    let indexed = candidates.iter().enumerate();
    let picked: Vec<(usize, &Candidate)> = indexed.filter(|(_, candidate)| is_picked(candidate)).collect();
    Selection { picks: weigh(&picked), priority, panic }
}

fn usable(candidates: &[Candidate], tier: u8) -> usize {
    candidates.iter().filter(|candidate| candidate.priority == tier && candidate.usable).count()
}

fn has_enough(candidates: &[Candidate], tier: u8, panic_below: u8) -> bool {
    let all = candidates.iter().filter(|candidate| candidate.priority == tier).count();
    let usable = usable(candidates, tier);
    usable > 0 && usable * 100 >= all * usize::from(panic_below.min(100))
}

/// Effective weights.
fn weigh(picked: &[(usize, &Candidate)]) -> Vec<(usize, u32)> {
    let weights = picked.iter().map(|(_, candidate)| candidate.weight.max(1));
    let is_ramping = picked.iter().any(|(_, candidate)| candidate.ramp < 1.0);
    if !is_ramping {
        return picked.iter().map(|(n, _)| *n).zip(weights).collect();
    }
    let scale = weights.max().map_or(1, |greatest| (u32::MAX / greatest).min(SCALE));
    let effective = |candidate: &Candidate| {
        let ramp = if candidate.ramp > RAMP_MIN { candidate.ramp.min(1.0) } else { RAMP_MIN };
        let weight = f64::from(candidate.weight.max(1)) * f64::from(scale) * f64::from(ramp);
        (weight as u32).max(1)
    };
    picked.iter().map(|(n, candidate)| (*n, effective(candidate))).collect()
}
