//! Stacks put together: who calls whom, and how much is spent where.

use serde::{Deserialize, Serialize};

use super::Profile;

/// Frames of a flame graph; the smallest are left out beyond it.
pub const NODES_MAX: usize = 2_000;
/// A frame smaller than this share of the whole is left out: at any width it is less than a line.
const SMALLEST: f64 = 0.001;

/// A flame graph, small enough to be kept with the results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flame {
    /// What is counted: `cpu`.
    pub kind: String,
    /// In which unit: `nanoseconds`.
    pub unit: String,
    /// All of it.
    pub total: u64,
    /// How long was looked, in nanoseconds; 0: unknown.
    pub nanos: u64,
    /// Callers before those they call, neighbours in order of their names.
    pub frames: Vec<Frame>,
}

/// A function as called by one chain of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its name.
    pub name: String,
    /// How many callers are below it.
    pub depth: u32,
    /// What was counted before it, in the unit of the whole: where it is drawn.
    pub start: u64,
    /// What was counted in it and whatever it calls.
    pub value: u64,
    /// What was counted in it alone.
    pub own: u64,
}

/// Stacks that begin alike, in order; they share the frame at `depth - 1`.
struct Group {
    from: usize,
    to: usize,
    depth: usize,
    start: u64,
}

/// The flame graph of one kind of value.
pub(super) fn build(profile: &Profile, kind: usize) -> Flame {
    let mut stacks: Vec<(&[u32], u64)> = profile
        .samples
        .iter()
        .map(|sample| (&sample.stack[..], sample.value(kind)))
        .filter(|(_, value)| *value > 0)
        .collect();
    stacks.sort_unstable();
    let (kind_name, unit) = profile.kinds.get(kind).cloned().unwrap_or_default();
    let total = profile.total(kind);
    let frames = frames(profile, &stacks, (total as f64 * SMALLEST) as u64);
    Flame { kind: kind_name, unit, total, nanos: profile.nanos, frames: largest(frames) }
}

/// Level by level, so that the order is by depth. Each level has at most a thousand frames, and there are as
/// many levels as a stack may be deep: it is bounded whatever the profile.
fn frames(profile: &Profile, stacks: &[(&[u32], u64)], smallest: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut level = vec![Group { from: 0, to: stacks.len(), depth: 0, start: 0 }];
    while !level.is_empty() {
        let mut above = Vec::new();
        for group in level {
            split(profile, stacks, &group, smallest, &mut frames, &mut above);
        }
        level = above;
    }
    frames
}

fn split(
    profile: &Profile,
    stacks: &[(&[u32], u64)],
    group: &Group,
    smallest: u64,
    frames: &mut Vec<Frame>,
    above: &mut Vec<Group>,
) {
    let Group { from, to, depth, start } = *group;
    let mut start = start;
    // Stacks that end here come first: the shorter is the lesser.
    let ended = stacks[from..to].iter().take_while(|(stack, _)| stack.len() <= depth).count();
    start += sum(&stacks[from..from + ended]);
    for same in stacks[from + ended..to].chunk_by(|one, other| one.0[depth] == other.0[depth]) {
        let value = sum(same);
        if value > smallest {
            let first = offset(stacks, same);
            let own = sum_where(same, |stack| stack.len() == depth + 1);
            let name = profile.names.get(same[0].0[depth] as usize).cloned().unwrap_or_default();
            frames.push(Frame { name, depth: depth as u32, start, value, own });
            above.push(Group { from: first, to: first + same.len(), depth: depth + 1, start });
        }
        start = start.saturating_add(value);
    }
}

/// Where a part of the stacks begins.
fn offset(stacks: &[(&[u32], u64)], part: &[(&[u32], u64)]) -> usize {
    (part.as_ptr() as usize - stacks.as_ptr() as usize) / size_of::<(&[u32], u64)>()
}

fn sum(stacks: &[(&[u32], u64)]) -> u64 {
    sum_where(stacks, |_| true)
}

fn sum_where(stacks: &[(&[u32], u64)], which: impl Fn(&[u32]) -> bool) -> u64 {
    let values = stacks.iter().filter(|(stack, _)| which(stack)).map(|(_, value)| *value);
    values.fold(0, u64::saturating_add)
}

/// Leaves out the smallest. A caller is never smaller than what it calls, so none hangs in the air.
fn largest(mut frames: Vec<Frame>) -> Vec<Frame> {
    if frames.len() > NODES_MAX {
        let mut values: Vec<u64> = frames.iter().map(|frame| frame.value).collect();
        values.sort_unstable_by(|one, other| other.cmp(one));
        let bound = values[NODES_MAX];
        frames.retain(|frame| frame.value > bound);
    }
    frames
}
