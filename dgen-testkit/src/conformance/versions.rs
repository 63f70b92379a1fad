//! Read versions.

use super::Outcome;
use crate::Area;

/// SPEC B2: the read version grows with commits.
pub async fn read_version_grows_with_commits(area: Area) -> Outcome {
    let mut last = area.begin().read_version().await?;
    for round in 0..10_u8 {
        area.put([("a", &[round])]).await?;
        let version = area.begin().read_version().await?;
        assert!(version > last, "{version} after {last} and a commit");
        last = version;
    }
    Ok(())
}

/// SPEC B2: a transaction has one read version.
pub async fn read_version_of_a_transaction_stays(area: Area) -> Outcome {
    let tx = area.begin();
    let version = tx.read_version().await?;
    area.put([("a", b"1")]).await?;
    assert_eq!(tx.read_version().await?, version);
    assert_eq!(tx.get(&area.key("a")).await?, None);
    Ok(())
}

/// SPEC B2: the version that a get has read at is the transaction's read version.
pub async fn read_version_is_that_of_the_reads(area: Area) -> Outcome {
    let tx = area.begin();
    assert_eq!(tx.get(&area.key("a")).await?, None);
    area.put([("a", b"1")]).await?;
    let later = area.begin().read_version().await?;
    assert!(tx.read_version().await? < later);
    Ok(())
}
