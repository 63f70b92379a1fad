//! Machines that serve: each runs a process of each of its servers, and starts it again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dgen_server::StartOptions;
use dgen_testkit::sim::Machine;
use futures_util::future::join_all;

use super::{Stage, lock};
use crate::{servers, world::Kind};

/// How often an idle process looks in the silence.
const POLL_SILENT: Duration = Duration::from_secs(60);

/// A process that has ended is started again after this.
const PAUSE: Duration = Duration::from_millis(100);

impl Stage {
    /// Switches all machines on.
    pub(super) fn boot(self: &Arc<Self>) {
        for (place, _) in self.world.machines() {
            let stage = Arc::clone(self);
            if let Some(machine) = self.machine(place) {
                machine.boot(move |machine| Arc::clone(&stage).serve(place, machine));
            }
        }
    }

    async fn serve(self: Arc<Self>, place: usize, machine: Machine) {
        // Those of an earlier life are gone.
        lock(&self.processes).retain(|(of, _), _| *of != place);
        let plan = self.world.machines.get(place).cloned().flatten();
        let serves = plan.map(|plan| plan.serves).unwrap_or_default();
        let supervised = serves.into_iter().filter_map(|server| {
            let kind = self.world.kind(server)?;
            Some(self.supervise((place, server), kind, &machine))
        });
        join_all(supervised.collect::<Vec<_>>()).await;
    }

    async fn supervise(&self, (place, server): (usize, usize), kind: Kind, machine: &Machine) {
        let (tenant, env) = (self.tenant(machine), machine.env());
        while self.may_serve(place, server) {
            let options = self.options();
            if let Ok(process) = servers::start(kind, &tenant, server, options).await {
                lock(&self.processes).insert((place, server), Arc::clone(&process));
                // It may have become silent meanwhile.
                if self.may_serve(place, server) {
                    process.stopped().await;
                } else {
                    process.stop().await;
                }
                lock(&self.processes).remove(&(place, server));
            }
            env.sleep(PAUSE).await;
        }
    }

    fn options(&self) -> StartOptions {
        let options = servers::options().cache(self.world.has_cache);
        match self.is_silent.load(Ordering::Relaxed) {
            true => options.poll_interval(POLL_SILENT),
            false => options,
        }
    }

    /// In the silence one machine serves, which is enough.
    fn may_serve(&self, place: usize, server: usize) -> bool {
        let mut serving = self.world.machines();
        let first = serving.find(|(_, machine)| machine.serves.contains(&server));
        !self.is_silent.load(Ordering::Relaxed) || first.is_some_and(|(first, _)| first == place)
    }
}
