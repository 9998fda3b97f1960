//! Breadth first, through every order of events.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::steps::{Sort, Step, describe, enabled};
use crate::world::{Property, State, World};

/// What was found in a world.
pub struct Found {
    pub states: usize,
    pub ends: usize,
    pub took: Duration,
    pub violation: Option<(Property, Vec<String>)>,
    /// There are more states than were to be looked at.
    pub capped: bool,
}

/// 128 bits stand for a state.
#[derive(Default)]
struct Print(u64, u64);

impl Hasher for Print {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            self.write_u64(u64::from_ne_bytes(eight));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_ne_bytes(eight));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let one = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0 = (self.0.rotate_left(5) ^ one).wrapping_mul(0x517c_c1b7_2722_0a95);
        let two = value.wrapping_add(0x1234_5678_9abc_def1);
        self.1 = (self.1 ^ two).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

fn print(state: &State) -> u128 {
    let mut hasher = Print::default();
    state.hash(&mut hasher);
    let (mut one, mut two) = (hasher.0, hasher.1);
    one = (one ^ one >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    one ^= one >> 32;
    two = (two ^ two >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93);
    two ^= two >> 33;
    u128::from(one) << 64 | u128::from(two)
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!()
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = (value >> 64) as u64 ^ value as u64;
    }
}

/// Looks at every state of a world, or up to this many.
pub fn explore(world: &World, most: usize) -> Found {
    let began = Instant::now();
    let first = State::first(world);
    let mut numbers: HashMap<u128, u32, BuildHasherDefault<Same>> = HashMap::default();
    let mut parents: Vec<(u32, u16)> = vec![(0, 0)];
    let mut edges: Vec<(u32, u32)> = Vec::new();
    numbers.insert(print(&first), 0);
    let mut layer = vec![(0u32, first)];
    let (mut steps, mut ends, mut capped, mut violation) = (Vec::new(), 0, false, None);
    'search: while !layer.is_empty() {
        let mut next_layer = Vec::new();
        for (number, state) in layer {
            steps.clear();
            enabled(world, &state, &mut steps);
            let mut goes_on = false;
            for (k, (sort, step)) in steps.iter().enumerate() {
                let mut next = state.clone();
                next.take(world, *sort, *step);
                if next.seen.violation.is_some_and(|found| world.without.contains(&found)) {
                    next.seen.violation = None;
                }
                let new = u32::try_from(parents.len()).unwrap_or(u32::MAX);
                let known = *numbers.entry(print(&next)).or_insert(new);
                // What changes nothing is no step.
                if *sort == Sort::Progress && known != number {
                    goes_on = true;
                    edges.push((number, known));
                }
                if known != new {
                    continue;
                }
                parents.push((number, k as u16));
                if let Some(found) = next.seen.violation {
                    violation = Some((found, new, String::new()));
                    break 'search;
                }
                next_layer.push((new, next));
            }
            if !goes_on {
                ends += 1;
                if let Err((found, what)) = state.at_rest(world)
                    && !world.without.contains(&found)
                {
                    violation = Some((found, number, what));
                    break 'search;
                }
            }
            if parents.len() >= most {
                capped = true;
                break 'search;
            }
        }
        layer = next_layer;
    }
    let states = parents.len();
    if violation.is_none() && !capped && !world.without.contains(&Property::Endless) {
        let circle = circle(states, &edges);
        violation = circle.map(|number| {
            (Property::Endless, number, "from here on it goes round in a circle".to_owned())
        });
    }
    let violation = violation.map(|(found, number, what)| {
        let mut trace = trace(world, &parents, number);
        if found == Property::Endless {
            let reached = replay(world, &parents, number);
            trace.extend(round(world, reached));
        }
        if !what.is_empty() {
            trace.push(format!("=> {what}"));
        }
        (found, trace)
    });
    Found { states, ends, took: began.elapsed(), violation, capped }
}

/// A state from which steps without a fault lead back to it.
fn circle(states: usize, edges: &[(u32, u32)]) -> Option<u32> {
    // Take away, again and again, what nothing leads out of.
    let mut leaving = vec![0u32; states];
    let mut start = vec![0u32; states + 1];
    for (from, to) in edges {
        leaving[*from as usize] += 1;
        start[*to as usize + 1] += 1;
    }
    for i in 0..states {
        start[i + 1] += start[i];
    }
    let mut sources = vec![0u32; edges.len()];
    let mut at = start.clone();
    for (from, to) in edges {
        sources[at[*to as usize] as usize] = *from;
        at[*to as usize] += 1;
    }
    let mut ended: Vec<u32> =
        (0..states as u32).filter(|state| leaving[*state as usize] == 0).collect();
    let mut count = 0;
    while let Some(state) = ended.pop() {
        count += 1;
        let range = start[state as usize] as usize..start[state as usize + 1] as usize;
        for source in &sources[range] {
            leaving[*source as usize] -= 1;
            if leaving[*source as usize] == 0 {
                ended.push(*source);
            }
        }
    }
    (count < states).then(|| {
        let left = (0..states).find(|state| leaving[*state] > 0);
        left.unwrap_or_default() as u32
    })
}

fn path(parents: &[(u32, u16)], mut number: u32) -> Vec<u16> {
    let mut path = Vec::new();
    while number != 0 {
        let (parent, step) = parents[number as usize];
        path.push(step);
        number = parent;
    }
    path.reverse();
    path
}

fn each_step(
    world: &World,
    parents: &[(u32, u16)],
    number: u32,
    visit: &mut dyn FnMut(&State, Step),
) -> State {
    let mut state = State::first(world);
    let mut steps = Vec::new();
    for k in path(parents, number) {
        steps.clear();
        enabled(world, &state, &mut steps);
        let (sort, step) = steps[k as usize];
        visit(&state, step);
        state.take(world, sort, step);
        if state.seen.violation.is_some_and(|found| world.without.contains(&found)) {
            state.seen.violation = None;
        }
    }
    state
}

fn replay(world: &World, parents: &[(u32, u16)], number: u32) -> State {
    each_step(world, parents, number, &mut |_, _| {})
}

fn trace(world: &World, parents: &[(u32, u16)], number: u32) -> Vec<String> {
    let mut lines = Vec::new();
    let last = each_step(world, parents, number, &mut |state, step| {
        lines.push(describe(world, state, step));
    });
    if std::env::var_os("MODEL_STATE").is_some() {
        for session in &last.sessions[..world.sessions] {
            println!("{session:#?}");
        }
        println!("store: {:?}", last.store);
    }
    lines
}

/// From this state round the circle: the shortest way back to a state that was met before.
fn round(world: &World, from: State) -> Vec<String> {
    // Depth first: the first state that is met twice on one way closes the circle.
    type Visit = (u128, Vec<(Sort, Step)>, State, Option<Step>);
    let mut on_way: Vec<Visit> = Vec::new();
    let mut done: std::collections::HashSet<u128> = std::collections::HashSet::new();
    let choices = |state: &State| {
        let mut steps = Vec::new();
        enabled(world, state, &mut steps);
        steps.retain(|(sort, _)| *sort == Sort::Progress);
        steps
    };
    on_way.push((print(&from), choices(&from), from, None));
    while let Some((_, steps, state, _)) = on_way.last_mut() {
        let Some((sort, step)) = steps.pop() else {
            let left = on_way.pop();
            done.extend(left.map(|(print, ..)| print));
            continue;
        };
        let mut next = state.clone();
        next.take(world, sort, step);
        let found = print(&next);
        if let Some(at) = on_way.iter().position(|(print, ..)| *print == found) {
            let mut lines = vec!["-- the circle:".to_owned()];
            for window in on_way[at..].windows(2) {
                if let (state, Some(step)) = (&window[0].2, window[1].3) {
                    lines.push(describe(world, state, step));
                }
            }
            if let Some((_, _, state, _)) = on_way.last() {
                lines.push(describe(world, state, step));
            }
            return lines;
        }
        if !done.contains(&found) {
            on_way.push((found, choices(&next), next, Some(step)));
        }
    }
    Vec::new()
}
