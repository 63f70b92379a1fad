//! Reading ranges: bounds, order, limits, pages.

use dgen_backend::{Error, KeyRange, RangeRead};

use super::{Outcome, reads::names};
use crate::Area;

const ABC: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"2"), ("c", b"3")];

/// SPEC B2: a range has its begin and not its end.
pub async fn begin_is_included_and_end_is_not(area: Area) -> Outcome {
    area.put(ABC).await?;
    let rows = area.begin().collect_range(area.range("a", "c")).await?;
    assert_eq!(names(&area, &rows), ["a", "b"]);
    assert_eq!(rows[1].value, "2");
    Ok(())
}

/// SPEC B2: bounds need not be keys that exist.
pub async fn bounds_need_not_exist(area: Area) -> Outcome {
    area.put(ABC).await?;
    let rows = area.begin().collect_range(area.range("a5", "bz")).await?;
    assert_eq!(names(&area, &rows), ["b"]);
    Ok(())
}

/// SPEC B2: rows come in the order of their bytes, unsigned, a prefix first.
pub async fn rows_come_in_byte_order(area: Area) -> Outcome {
    let ordered: [&[u8]; 6] = [b"", b"\x00", b"a", b"a\x00", b"b", b"\xff"];
    let tx = area.begin();
    for name in [4, 0, 5, 2, 3, 1].map(|at: usize| ordered[at]) {
        tx.set(&area.key(name), b"")?;
    }
    tx.commit().await?;
    let stored: Vec<_> = area.rows().await?.into_iter().map(|row| row.0).collect();
    assert_eq!(stored, ordered);
    Ok(())
}

/// SPEC B2: a limit bounds the rows, from the side that is read first.
pub async fn limit_bounds_the_rows(area: Area) -> Outcome {
    area.put(ABC).await?;
    let tx = area.begin();
    let all = RangeRead::from(area.all());
    let two = tx.collect_range(all.clone().limit(2)).await?;
    assert_eq!(names(&area, &two), ["a", "b"]);
    let two = tx.collect_range(all.clone().limit(2).reverse()).await?;
    assert_eq!(names(&area, &two), ["c", "b"]);
    let many = tx.collect_range(all.limit(1_000)).await?;
    assert_eq!(names(&area, &many), ["a", "b", "c"]);
    Ok(())
}

/// SPEC B2: reverse reads from the last key to the first.
pub async fn reverse_reads_from_the_end(area: Area) -> Outcome {
    area.put(ABC).await?;
    let read = RangeRead::from(area.range("a", "c")).reverse();
    let rows = area.begin().collect_range(read).await?;
    assert_eq!(names(&area, &rows), ["b", "a"]);
    Ok(())
}

/// SPEC B2: nothing is asked for, nothing is returned.
pub async fn limit_zero_and_empty_range_have_no_rows(area: Area) -> Outcome {
    area.put(ABC).await?;
    let tx = area.begin();
    let none = tx.get_range(RangeRead::from(area.all()).limit(0)).await?;
    assert!(none.rows.is_empty() && !none.has_more);
    let none = tx.get_range(area.range("b", "b")).await?;
    assert!(none.rows.is_empty() && !none.has_more);
    let none = tx.get_range(area.range("d", "z")).await?;
    assert!(none.rows.is_empty() && !none.has_more);
    Ok(())
}

/// SPEC B2: a range whose begin is after its end is an error, to read and to clear.
pub async fn inverted_range_is_an_error(area: Area) -> Outcome {
    let inverted = area.range("b", "a");
    let tx = area.begin();
    assert_error!(
        tx.get_range(inverted.clone()).await,
        Error::InvertedRange { .. }
    );
    assert_error!(tx.add_read_conflict(&inverted), Error::InvertedRange { .. });
    assert_error!(
        tx.add_write_conflict(&inverted),
        Error::InvertedRange { .. }
    );
    assert_error!(tx.clear_range(&inverted), Error::InvertedRange { .. });
    Ok(())
}

/// SPEC B2: clearing an empty range clears nothing.
pub async fn clearing_an_empty_range_clears_nothing(area: Area) -> Outcome {
    area.put(ABC).await?;
    let tx = area.begin();
    tx.clear_range(&area.range("b", "b"))?;
    tx.commit().await?;
    assert_eq!(area.rows().await?.len(), 3);
    Ok(())
}

/// SPEC B2: a cleared range has its begin and not its end.
pub async fn cleared_range_keeps_its_end(area: Area) -> Outcome {
    area.put(ABC).await?;
    let tx = area.begin();
    tx.clear_range(&area.range("a", "c"))?;
    tx.commit().await?;
    assert_eq!(area.rows().await?, super::reads::rows([("c", "3")]));
    Ok(())
}

/// SPEC B2: a range of several megabytes is read whole, over all its pages, in both directions.
pub async fn large_range_is_read_whole(area: Area) -> Outcome {
    let count = put_large(&area).await?;
    let tx = area.begin();
    let forward = tx.collect_range(area.all()).await?;
    let mut reverse = tx
        .collect_range(RangeRead::from(area.all()).reverse())
        .await?;
    assert_eq!(forward.len(), count);
    assert!(forward.is_sorted_by(|a, b| a.key < b.key));
    reverse.reverse();
    assert!(forward == reverse, "both directions see the same rows");
    Ok(())
}

/// SPEC B2: every page that has more behind it has a row, and its rest goes on where it ended.
pub async fn pages_join_without_gap_or_overlap(area: Area) -> Outcome {
    let count = put_large(&area).await?;
    for is_reverse in [false, true] {
        let tx = area.begin();
        let mut rows = Vec::new();
        let mut next = Some(RangeRead {
            is_reverse,
            ..area.all().into()
        });
        while let Some(read) = next {
            let page = tx.get_range(read.clone()).await?;
            assert!(!page.has_more || !page.rows.is_empty());
            next = page.rest(&read);
            rows.extend(page.rows);
        }
        assert_eq!(rows.len(), count);
        assert!(rows.is_sorted_by(|a, b| (a.key < b.key) != is_reverse));
    }
    Ok(())
}

/// SPEC B2: a limit holds over pages.
pub async fn limit_holds_over_pages(area: Area) -> Outcome {
    let count = put_large(&area).await?;
    let read = RangeRead::from(area.all()).limit(count - 5);
    let rows = area.begin().collect_range(read).await?;
    assert_eq!(rows.len(), count - 5);
    Ok(())
}

/// SPEC B1: pages see the snapshot and the transaction's own writes as they are when the page is
/// read.
pub async fn pages_see_one_snapshot(area: Area) -> Outcome {
    let count = put_large(&area).await?;
    let tx = area.begin();
    let read = RangeRead::from(area.all());
    let first = tx.get_range(read.clone()).await?;
    tx.set(&area.key("zz mine"), b"")?;
    area.put([("zz of another", b"")]).await?;
    let rest = match first.rest(&read) {
        Some(rest) => tx.collect_range(rest).await?,
        None => tx.collect_range(area.range("zz", "zzz")).await?,
    };
    assert_eq!(first.rows.len() + rest.len(), count + 1);
    assert_eq!(names(&area, &rest).last().expect("not empty"), "zz mine");
    Ok(())
}

/// SPEC B2: the range of one key holds that key and no other.
pub async fn range_of_one_key_holds_just_it(area: Area) -> Outcome {
    area.put([("a", b"1"), ("a\0", b"2"), ("a1", b"3")]).await?;
    let one = KeyRange::key(&area.key("a"));
    let rows = area.begin().collect_range(one).await?;
    assert_eq!(names(&area, &rows), ["a"]);
    Ok(())
}

/// Writes 4 MB in rows of different sizes, and returns how many rows.
async fn put_large(area: &Area) -> Result<usize, Error> {
    let count = 440;
    let tx = area.begin();
    for number in 0..count {
        let size_bytes = if number % 11 == 0 { 90_000 } else { 1_000 };
        tx.set(&area.key(format!("{number:04}")), &vec![0x5a; size_bytes])?;
    }
    tx.commit().await?;
    Ok(count)
}
