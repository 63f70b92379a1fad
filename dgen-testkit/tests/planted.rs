//! Databases with a planted flaw: the randomised checks must find each.

use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};
use dgen_testkit::{
    Area, Forward, Intercept, Intercepted, differential, model,
    serializability::{self, Violation},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// No read counts for conflicts.
    ForgetsReads,
    /// Of a range, the rows count and the gaps between them don't.
    ForgetsGaps,
    /// Every get sees what is committed now.
    ReadsTheLatest,
    /// A conflict is reported as a success.
    SwallowsConflicts,
    /// A reverse read with a limit returns the wrong end of the range.
    LimitsTheWrongEnd,
    /// Additions are off by one.
    AddsOneMore,
}

#[derive(Debug)]
struct Flawed {
    db: Database,
    flaw: Flaw,
}

impl Flawed {
    fn database(flaw: Flaw) -> Database {
        Database::new(Self {
            db: model::in_memory(),
            flaw,
        })
    }
}

impl Backend for Flawed {
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(FlawedTransaction {
            inner: Forward(self.db.begin()?),
            db: self.db.clone(),
            flaw: self.flaw,
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }
}

struct FlawedTransaction {
    inner: Forward,
    db: Database,
    flaw: Flaw,
}

impl FlawedTransaction {
    fn isolation(&self, isolation: Isolation) -> Isolation {
        match self.flaw {
            Flaw::ForgetsReads => Isolation::Snapshot,
            _ => isolation,
        }
    }
}

impl Intercept for FlawedTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<bytes::Bytes>> {
        if self.flaw == Flaw::ReadsTheLatest && !self.inner.0.has_writes() {
            return self.db.begin().expect("the model is open").get(key);
        }
        self.inner.get(key, self.isolation(isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        match self.flaw {
            Flaw::ForgetsGaps if isolation == Isolation::Serializable => {
                let tx = self.inner.0.clone();
                let page = self.inner.get_range(read, Isolation::Snapshot);
                page.map(move |page| {
                    for row in &page.rows {
                        tx.add_read_conflict(&KeyRange::key(&row.key))?;
                    }
                    Ok(page)
                })
            }
            Flaw::LimitsTheWrongEnd if read.is_reverse => {
                let mut forward = read.clone();
                forward.is_reverse = false;
                self.inner.get_range(&forward, isolation).map(|mut page| {
                    page.rows.reverse();
                    Ok(page)
                })
            }
            _ => self.inner.get_range(read, self.isolation(isolation)),
        }
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        match mutation {
            Mutation::Add(key, delta) if self.flaw == Flaw::AddsOneMore => {
                self.inner.mutate(Mutation::Add(key, delta.wrapping_add(1)))
            }
            mutation => self.inner.mutate(mutation),
        }
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        if self.flaw == Flaw::ForgetsReads && kind == ConflictKind::Read {
            return Ok(());
        }
        self.inner.add_conflict(range, kind)
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.add_conflict(&KeyRange::key(key), ConflictKind::Read)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let swallows = self.flaw == Flaw::SwallowsConflicts;
        let stamp = self.inner.versionstamp();
        Read::pending(async move {
            match stamp.await {
                Err(Error::Conflict) if swallows => Ok([0xff; 10]),
                other => other,
            }
        })
    }

    fn commit(&self) -> Read<()> {
        let swallows = self.flaw == Flaw::SwallowsConflicts;
        let commit = self.inner.commit();
        Read::pending(async move {
            match commit.await {
                Err(Error::Conflict) if swallows => Ok(()),
                other => other,
            }
        })
    }
}

/// What the check says of `flaw`, over a few seeds.
async fn check_serializability(flaw: Flaw) -> Result<(), String> {
    for seed in 0..10 {
        let area = Area::new(&Flawed::database(flaw), "planted");
        let options = serializability::Options::new(seed);
        match serializability::check(&area, &options).await {
            Ok(report) => assert!(report.committed > 20, "{report:?}"),
            Err(Violation::NotSerializable { what, .. }) => return Err(what),
            Err(error) => panic!("{error}"),
        }
    }
    Ok(())
}

async fn check_against_the_model(flaw: Flaw) -> Result<(), Box<differential::Mismatch>> {
    for seed in 0..5 {
        let options = differential::Options::new(seed);
        let (left, right) = (model::in_memory(), Flawed::database(flaw));
        let report = differential::compare(&left, &right, &options).await?;
        assert!(report.commits > 100 && report.conflicts > 20, "{report:?}");
        assert!(report.inconclusive * 4 < report.scripts, "{report:?}");
    }
    Ok(())
}

/// SPEC B9: what is right is not called wrong.
#[tokio::test]
async fn a_wrapped_model_without_a_flaw_passes() {
    check_serializability(Flaw::None).await.unwrap();
    check_against_the_model(Flaw::None).await.unwrap();
}

/// SPEC B9: the check of serializability finds what breaks it.
#[tokio::test]
async fn serializability_check_finds_planted_flaws() {
    for flaw in [
        Flaw::ForgetsReads,
        Flaw::ForgetsGaps,
        Flaw::ReadsTheLatest,
        Flaw::SwallowsConflicts,
        Flaw::LimitsTheWrongEnd,
        Flaw::AddsOneMore,
    ] {
        let found = check_serializability(flaw).await;
        assert!(found.is_err(), "{flaw:?} was not found");
    }
}

/// SPEC B9: comparing with the model finds what differs, and shows a few steps that do.
#[tokio::test]
async fn comparison_finds_planted_flaws_and_shrinks_them() {
    for flaw in [
        Flaw::ForgetsReads,
        Flaw::ForgetsGaps,
        Flaw::ReadsTheLatest,
        Flaw::SwallowsConflicts,
        Flaw::LimitsTheWrongEnd,
        Flaw::AddsOneMore,
    ] {
        let found = check_against_the_model(flaw).await;
        let mismatch = found.expect_err("the flaw is found");
        let steps = mismatch.script.steps.len();
        assert!(steps <= 8, "{flaw:?} is shown by {steps} steps\n{mismatch}");
    }
}
