//! What goes wrong at a time.

use std::time::{Duration, SystemTime};

use dgen_testkit::sim::Machine;

use super::{Stage, lock};
use crate::{
    servers,
    world::{Trouble, What},
};

impl Stage {
    pub(super) async fn befall(&self, trouble: &Trouble) {
        self.sim.sleep(trouble.at).await;
        match trouble.what {
            What::Death(place, away) => {
                let Some(machine) = self.machine(place) else {
                    return;
                };
                machine.kill();
                self.sim.sleep(away).await;
                if !machine.is_alive() {
                    machine.restart();
                }
            }
            What::Freeze(place, duration) => {
                let Some(machine) = self.machine(place) else {
                    return;
                };
                machine.freeze();
                self.sim.sleep(duration).await;
                machine.thaw();
            }
            What::CutOff(place, duration) => {
                if let Some(machine) = self.machine(place) {
                    machine.cut_off(duration);
                }
            }
            What::Stop(place, server) => self.stop(place, server).await,
            What::Shutdown(place, duration) => {
                if let Some(machine) = self.machine(place) {
                    let tenant = self.tenant(machine);
                    let shut = async move { dgen_server::shutdown(&tenant, duration).await };
                    let _ = machine.run(shut).await;
                }
            }
            What::Jump(place, millis) => {
                if let Some(machine) = self.machine(place) {
                    let time = moved(machine.env().wall_clock(), millis);
                    machine.set_wall_clock(time);
                }
            }
            What::Kill(server) => self.kill(server).await,
            What::Replay(server) => {
                self.at_machine_of(server, |tenant, kind| async move {
                    servers::client(kind, &tenant, server).replay_all().await
                })
                .await;
            }
        }
    }

    pub(super) async fn stop(&self, place: usize, server: usize) {
        let process = lock(&self.processes).get(&(place, server)).cloned();
        if let Some(process) = process
            && let Some(machine) = self.machine(place)
        {
            let _ = machine.run(async move { process.stop().await }).await;
        }
    }

    async fn kill(&self, server: usize) {
        let sent = self.moment();
        let killed = self.at_machine_of(server, |tenant, kind| async move {
            servers::client(kind, &tenant, server).kill().await
        });
        let ended = match killed.await {
            Some(Ok(())) => Some(self.moment()),
            Some(Err(failure)) if !failure.maybe_executed() => return,
            Some(Err(_)) | None => None,
        };
        lock(&self.kills).push((server, sent, ended));
    }

    /// What an operator does on the first machine that serves a server; none if that died meanwhile.
    async fn at_machine_of<T, F>(
        &self,
        server: usize,
        work: impl FnOnce(dgen_backend::Tenant, crate::world::Kind) -> F,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let kind = self.world.kind(server)?;
        let machine = self.machine_of(server)?;
        let tenant = self.tenant(machine);
        machine.run(work(tenant, kind)).await.ok()
    }

    pub(super) fn machine_of(&self, server: usize) -> Option<&Machine> {
        let mut machines = self.world.machines();
        let (place, _) = machines.find(|(_, machine)| machine.serves.contains(&server))?;
        self.machine(place)
    }
}

fn moved(time: SystemTime, millis: i64) -> SystemTime {
    let by = Duration::from_millis(millis.unsigned_abs());
    match millis < 0 {
        true => time - by,
        false => time + by,
    }
}
