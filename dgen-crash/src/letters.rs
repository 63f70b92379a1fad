//! The dead letters of the desk whose messages fail.

use dgen_server::{DeadLetter, Failure, HeldBy};

use crate::{
    caller::{TIMEOUT, Wrong},
    child::LOOK_AGAIN,
    desk::DeskHandle,
    world::{GRAVE, Way, World},
};

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Self(format!("the store can't be read: {failure:?}"))
    }
}

/// Waits until no message of the desk waits; its letters are numbered from 1 without a gap, each
/// there once. Returns how many there are.
pub(crate) async fn settled(world: &World) -> Result<u64, Wrong> {
    let desk = world.desk(Way::Near, GRAVE);
    loop {
        let status = desk.status().await?;
        let is_failing = matches!(status.hold, Some(HeldBy::Failing { .. }));
        if status.queue_len == 0 && !is_failing {
            break;
        }
        world.tenant().env().sleep(LOOK_AGAIN).await;
    }
    let numbers = numbers(&desk.dead_letters().await?)?;
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    if numbers != expected {
        return Err(Wrong(format!(
            "the dead letters are not each there once: {numbers:?}"
        )));
    }
    Ok(numbers.len() as u64)
}

/// Replays all, at a desk that can handle them now; each takes effect once.
pub(crate) async fn replay(desk: &DeskHandle) -> Result<(), Wrong> {
    let letters = desk.dead_letters().await?;
    for letter in &letters {
        if !desk.replay(letter.number).await? {
            return Err(Wrong(format!("dead letter {} is gone", letter.number)));
        }
    }
    let count = letters.len() as u64;
    // Behind all that was replayed.
    let survived = desk.read().timeout(TIMEOUT).await?.survived;
    if survived.count() != count || survived.max() != count || !survived.twice().is_empty() {
        return Err(Wrong(format!(
            "{count} letters were replayed, of which came {survived:?}"
        )));
    }
    Ok(())
}

/// The callers' numbers of the messages, in order.
fn numbers(letters: &[DeadLetter]) -> Result<Vec<u64>, Wrong> {
    let number = |letter: &DeadLetter| {
        let digits: String = letter
            .message
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let number = digits.parse();
        number.map_err(|_| Wrong(format!("a dead letter of nobody: {letter:?}")))
    };
    let mut numbers: Vec<u64> = letters.iter().map(number).collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}
