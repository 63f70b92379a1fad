//! Money is neither made nor lost: what left one account came to another, once and in order.

use super::Evidence;
use crate::servers::{Account, Payment, State};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let accounts = evidence
        .states
        .iter()
        .filter_map(|(server, state)| match state {
            State::Account(account) => Some((*server, account)),
            _ => None,
        });
    let accounts: Vec<_> = accounts.collect();
    let mut wrong = Vec::new();
    let total: i64 = accounts.iter().map(|(_, account)| account.balance).sum();
    let expected = accounts.len() as i64 * Account::INITIAL;
    if total != expected {
        wrong.push(format!(
            "there are {total} in all accounts, and there were {expected}"
        ));
    }
    for (server, account) in &accounts {
        if account.balance < 0 {
            wrong.push(format!("s{server}: holds {}", account.balance));
        }
    }
    for (from, sender) in &accounts {
        for (to, receiver) in &accounts {
            let is_theirs = |payment: &&Payment| payment.from == *from && payment.to == *to;
            let mut sent: Vec<_> = sender.sent.iter().filter(is_theirs).collect();
            let mut came: Vec<_> = receiver.received.iter().filter(is_theirs).collect();
            let is_steady = |payment: &&&Payment| payment.panics == 0;
            if !sent
                .iter()
                .filter(is_steady)
                .eq(came.iter().filter(is_steady))
            {
                wrong.push(format!(
                    "from s{from} to s{to}: sent {sent:?}, and there came {came:?}"
                ));
                continue;
            }
            sent.sort_by_key(|payment| payment.op);
            came.sort_by_key(|payment| payment.op);
            if sent != came {
                wrong.push(format!(
                    "from s{from} to s{to}: sent {sent:?}, and there came {came:?}"
                ));
            }
        }
    }
    wrong
}
