//! Random edits of a random value, against the value itself.

use std::collections::HashSet;

use super::{model::Model, value::Value};

/// A small generator of random numbers (xorshift64*, Vigna 2016): a seed replays a script.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound
    }

    fn leaf(&mut self) -> Value {
        match self.below(5) {
            0 => Value::Nil,
            1 => Value::Int(self.below(1_000) as i64 - 500),
            2 => Value::Str("s".repeat(self.below(40))),
            3 => Value::Bin(vec![1; self.below(40)]),
            _ => Value::Array(vec![Value::Bool(true); self.below(4)]),
        }
    }

    pub(crate) fn value(&mut self, depth: usize) -> Value {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(4) {
            0 => self.leaf(),
            1 => {
                let names = (0..6).filter(|_| self.below(2) == 0).collect::<Vec<_>>();
                Value::Map(
                    names
                        .into_iter()
                        .map(|name| (name_of(name), self.value(depth - 1)))
                        .collect(),
                )
            }
            _ => {
                let ids: HashSet<_> = (0..self.below(9)).map(|_| self.below(30)).collect();
                Value::Array(ids.into_iter().map(|id| self.item(id, depth - 1)).collect())
            }
        }
    }

    fn item(&mut self, id: usize, depth: usize) -> Value {
        let mut entries = vec![(Value::str("id"), Value::Str(format!("{id}")))];
        for name in 0..self.below(3) {
            entries.push((name_of(name), self.value(depth)));
        }
        Value::Map(entries)
    }

    /// Changes one thing, somewhere inside `value`.
    pub(crate) fn edit(&mut self, value: &mut Value, depth: usize) {
        let goes_down = depth > 0 && self.below(3) > 0;
        match value {
            Value::Map(entries) if !entries.is_empty() && goes_down => {
                let at = self.below(entries.len());
                let is_id = matches!(&entries[at].0, Value::Str(key) if key == "id");
                if !is_id {
                    self.edit(&mut entries[at].1, depth - 1);
                }
            }
            Value::Array(items) if !items.is_empty() && goes_down => {
                let at = self.below(items.len());
                self.edit(&mut items[at], depth - 1);
            }
            Value::Map(entries) => {
                let name = name_of(self.below(6));
                let found = entries.iter().position(|(key, _)| *key == name);
                match (found, self.below(2)) {
                    (Some(at), 0) => drop(entries.remove(at)),
                    (Some(at), _) => entries[at].1 = self.value(1),
                    (None, _) => entries.push((name, self.value(2))),
                }
                if self.below(4) == 0 {
                    entries.reverse();
                }
            }
            Value::Array(items) if self.below(10) > 0 => {
                let at = self.below(items.len() + 1);
                match (items.len(), self.below(4)) {
                    (0, _) | (_, 0) => {
                        let id = self.below(1_000);
                        items.insert(at, self.item(id, 1));
                    }
                    (_, 1) => drop(items.remove(at.saturating_sub(1))),
                    (count, 2) => {
                        let item = items.remove(self.below(count));
                        items.insert(at.min(count - 1), item);
                    }
                    (count, _) => items.rotate_left(self.below(count)),
                }
            }
            other => *other = self.value(2),
        }
    }
}

fn name_of(name: usize) -> Value {
    Value::str(["a", "bb", "type", "content", "x\0y", ""][name])
}

/// SPEC C2, C3: after any edits, what is read is what was written last; [`Model::store`] checks
/// that no key was touched in vain. `CODEC_EDITS_SEED` replays one script.
#[test]
fn edit_scripts_end_as_the_model_does() {
    let one = std::env::var("CODEC_EDITS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(1..=10_000, |seed| seed..=seed);
    for seed in seeds {
        let mut random = Random(seed);
        (0..4).for_each(|_| _ = random.below(2));
        let depth = if random.below(4) == 0 { 3 } else { 2 };
        let mut value = random.value(depth);
        let mut model = Model::with(&value);
        for step in 0..3 {
            random.edit(&mut value, 4);
            if random.below(3) == 0 {
                model.reload();
            }
            model.store(&value);
            let read: Value = model.load();
            assert_eq!(read, value, "CODEC_EDITS_SEED={seed}, step {step}");
        }
    }
}
