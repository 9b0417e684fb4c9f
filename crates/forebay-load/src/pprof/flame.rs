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

/// A frame whose name is not looked up yet.
struct Node {
    name: u32,
    depth: usize,
    start: u64,
    value: u64,
    own: u64,
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
    let nodes = largest(nodes(&stacks, (total as f64 * SMALLEST) as u64));
    let frames = nodes.into_iter().map(|node| node.frame(&profile.names)).collect();
    Flame { kind: kind_name, unit, total, nanos: profile.nanos, frames }
}

/// Level by level, so that the order is by depth. Each level has at most a thousand frames, and there are as
/// many levels as a stack may be deep: it is bounded whatever the profile.
fn nodes(stacks: &[(&[u32], u64)], smallest: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut level = vec![Group { from: 0, to: stacks.len(), depth: 0, start: 0 }];
    while !level.is_empty() {
        let mut above = Vec::new();
        for group in level {
            split(stacks, &group, smallest, &mut nodes, &mut above);
        }
        level = above;
    }
    nodes
}

fn split(
    stacks: &[(&[u32], u64)],
    group: &Group,
    smallest: u64,
    nodes: &mut Vec<Node>,
    above: &mut Vec<Group>,
) {
    let Group { from, to, depth, start } = *group;
    // Stacks that end here come first: the shorter is the lesser.
    let ended = stacks[from..to].iter().take_while(|(stack, _)| stack.len() <= depth).count();
    let mut start = start.saturating_add(sum(&stacks[from..from + ended]));
    let mut first = from + ended;
    for same in stacks[first..to].chunk_by(|one, other| one.0[depth] == other.0[depth]) {
        let value = sum(same);
        if value > smallest {
            let ends = same.iter().take_while(|(stack, _)| stack.len() == depth + 1).count();
            nodes.push(Node { name: same[0].0[depth], depth, start, value, own: sum(&same[..ends]) });
            above.push(Group { from: first, to: first + same.len(), depth: depth + 1, start });
        }
        start = start.saturating_add(value);
        first += same.len();
    }
}

fn sum(stacks: &[(&[u32], u64)]) -> u64 {
    stacks.iter().map(|(_, value)| *value).fold(0, u64::saturating_add)
}

/// Leaves out the smallest. A caller is never smaller than what it calls, so none hangs in the air.
fn largest(mut nodes: Vec<Node>) -> Vec<Node> {
    if nodes.len() > NODES_MAX {
        let mut values: Vec<u64> = nodes.iter().map(|node| node.value).collect();
        values.sort_unstable_by(|one, other| other.cmp(one));
        let bound = values[NODES_MAX];
        nodes.retain(|node| node.value > bound);
    }
    nodes
}

impl Node {
    fn frame(self, names: &[String]) -> Frame {
        let Self { name, depth, start, value, own } = self;
        let name = names.get(name as usize).cloned().unwrap_or_default();
        Frame { name, depth: u32::try_from(depth).unwrap_or(u32::MAX), start, value, own }
    }
}
