//! Looks at all servers once nothing is under way: what one handled, the other has, and nothing is
//! there twice.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    caller::{CALLERS, Caller, Kind, Wrong},
    child::LOOK_AGAIN,
    desk::Desk,
    letters, own_key, parcel,
    world::{DESKS, GRAVE, Way, World},
};

/// Far longer than anything that waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A timer that is due later than this is no timer of ours, but a sweep.
const SOON: Duration = Duration::from_secs(60);

type States = BTreeMap<&'static str, Desk>;

/// # Errors
/// What is wrong.
pub(crate) async fn audit(world: &World) -> Result<(), Wrong> {
    let env = world.tenant().env();
    let settled = env.timeout(PATIENCE, settled(world)).await;
    let states = settled.map_err(|_| Wrong(format!("no end within {PATIENCE:?}")))??;
    let mut found = Vec::new();
    for (id, desk) in &states {
        found.extend(faults_of(id, desk));
    }
    let total: i64 = states.values().map(|desk| desk.balance).sum();
    if total != 0 {
        found.push(format!("{total} of the money is left over"));
    }
    for caller in CALLERS {
        found.extend(faults_between(caller, &states, world).await?);
    }
    letters::settled(world).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Wrong(found.join("; ")))
}

/// The states, once no message and no timer waits.
async fn settled(world: &World) -> Result<States, Wrong> {
    loop {
        let before = states(world).await?;
        // What is sent while the desks are asked changes one that was asked before.
        if is_quiet(world).await? && states(world).await? == before {
            return Ok(before);
        }
        world.tenant().env().sleep(LOOK_AGAIN).await;
    }
}

async fn states(world: &World) -> Result<States, Wrong> {
    let mut states = States::new();
    for id in DESKS {
        let desk = world.desk(Way::Near, id).read().timeout(PATIENCE).await?;
        // It ticks all the time.
        let ticked = desk.ticked.filter(|_| id != GRAVE);
        states.insert(id, Desk { ticked, ..desk });
    }
    Ok(states)
}

async fn is_quiet(world: &World) -> Result<bool, Wrong> {
    let soon = world.tenant().env().wall_clock() + SOON;
    for id in DESKS {
        let status = world.desk(Way::Near, id).status().await?;
        let has_timer = status.next_due.is_some_and(|due| due < soon) && id != GRAVE;
        let is_idle = id == GRAVE || status.queue_len == 0;
        if !is_idle || status.hold.is_some() || has_timer {
            return Ok(false);
        }
    }
    Ok(true)
}

fn faults_of(id: &str, desk: &Desk) -> Vec<String> {
    let mut found = Vec::new();
    if !desk.out_of_order.is_empty() {
        found.push(format!(
            "{id} was sent out of order: {:?}",
            desk.out_of_order
        ));
    }
    if !desk.asking.is_empty() {
        found.push(format!("{id} owes answers: {:?}", desk.asking));
    }
    if desk.ticks_twice > 0 {
        found.push(format!("{id} ticked {} times too often", desk.ticks_twice));
    }
    for (caller, rung) in &desk.rung {
        if !rung.twice().is_empty() {
            found.push(format!("{id} rang twice for {caller}: {:?}", rung.twice()));
        }
    }
    found
}

/// What a desk handled of `caller`, the other has.
async fn faults_between(
    caller: &Caller,
    states: &States,
    world: &World,
) -> Result<Vec<String>, Wrong> {
    let name = caller.name;
    let last = |id: &str| states[id].last.get(name).copied().unwrap_or_default();
    let mut found = Vec::new();
    let mut expect = |what: &str, sent: u64, came: u64| {
        if sent != came {
            found.push(format!("of {sent} of {name} came {came} {what}"));
        }
    };
    match caller.kind {
        Kind::Relay { to, and }
        | Kind::Transfer { to, and }
        | Kind::Lock { to, and }
        | Kind::Ask { to, and } => expect("to the other desk", last(to), last(and)),
        Kind::Timer { to, and } => {
            let rung = states[and].rung.get(name).cloned().unwrap_or_default();
            expect("by timer", last(to), rung.count());
            expect("last by timer", last(to), rung.max());
        }
        Kind::Transaction { to, and } => {
            let written = own_key::read(world.tenant(), name).await?;
            expect("to the first desk", written, last(to));
            expect("to the second desk", written, last(and));
        }
        Kind::Parcel { to } => {
            let kept = states[to].parcels.get(name);
            let number = last(to);
            if number > 0 && kept != Some(&parcel::of(number)) {
                found.push(format!("parcel {number} of {name} is another"));
            }
        }
        Kind::Call { .. }
        | Kind::Impatient { .. }
        | Kind::Priority { .. }
        | Kind::Cast { .. }
        | Kind::Batch { .. }
        | Kind::CallWithId { .. }
        | Kind::CastWithId { .. }
        | Kind::Poison => {}
    }
    Ok(found)
}
