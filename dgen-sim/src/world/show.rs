//! A world, written for people.

use std::fmt;

use super::{Way, World};

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (server, kind) in self.servers() {
            writeln!(f, "  s{server}: {kind:?}")?;
        }
        for (machine, plan) in self.machines() {
            let serves: Vec<_> = plan.serves.iter().map(|one| format!("s{one}")).collect();
            writeln!(f, "  m{machine}: serves {}", serves.join(", "))?;
        }
        for (client, plan) in self.clients() {
            writeln!(f, "  c{client} on m{}:", plan.machine)?;
            for step in &plan.steps {
                let (number, server, order) = (step.number, step.server, &step.order);
                let (pause, way) = (step.pause, step.way);
                writeln!(
                    f,
                    "    c{client}.{number}: {pause:?} later, to s{server}: {order:?}{way}"
                )?;
            }
        }
        for (place, trouble) in self.troubles() {
            writeln!(f, "  t{place} at {:?}: {:?}", trouble.at, trouble.what)?;
        }
        let (store, has_cache) = (self.store, self.has_cache);
        writeln!(
            f,
            "  the store: {store:?}, {:?}; caches: {has_cache}",
            self.rates
        )?;
        writeln!(f, "  at each await point: {:?}", self.hazards)?;
        write!(f, "  clocks: at most {:?} off", self.skew_max)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", at most {:?}", self.timeout)?;
        if self.has_id {
            f.write_str(", with an id")?;
        }
        if self.is_priority {
            f.write_str(", by priority")?;
        }
        if self.is_enqueued {
            f.write_str(", enqueued")?;
        }
        if self.tries > 1 {
            write!(f, ", tried {} times", self.tries)?;
        }
        if self.panics > 0 {
            write!(f, ", panics in {} of 100", self.panics)?;
        }
        Ok(())
    }
}
