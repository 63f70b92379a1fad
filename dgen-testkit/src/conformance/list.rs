//! Which promises there are: the one list that the macro expands and the suite's own test compares
//! with the sources.

/// Makes a test of every promise of the suite, for one backend. See
/// [`conformance`](crate::conformance) for how to use it.
#[macro_export]
macro_rules! conformance_tests {
    (database: $make:expr, database_in: $make_in:expr $(,)?) => {
        $crate::__promises!($make);
        $crate::__promises_about_time!($make_in);
    };
    (database: $make:expr, skip_clock: $reason:literal $(,)?) => {
        $crate::__promises!($make);
        $crate::__promises_about_time!(skip: $reason);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promises {
    ($make:expr) => {
        $crate::__promises!($make, atomics:
            add_to_a_missing_key_gives_the_operand
            add_to_an_empty_value_gives_the_operand
            add_is_little_endian
            add_extends_a_short_value_with_zeros
            add_cuts_a_long_value
            add_wraps_around
            add_of_zero_creates_the_key
            add_follows_own_writes
            set_replaces_own_add
            adds_commute
            add_does_not_count_as_read
            concurrent_adds_all_count
        );
        $crate::__promises!($make, commits:
            uncommitted_writes_are_invisible
            writes_become_visible_together
            cancelled_transaction_writes_nothing
            dropped_transaction_writes_nothing
            empty_transaction_commits
            clones_are_one_transaction
            clear_of_a_missing_key_commits
            last_write_wins
            commits_in_flight_at_once_all_land
        );
        $crate::__promises!($make, conflict_ranges:
            added_read_conflict_counts_as_read
            added_read_conflict_keeps_to_its_bounds
            added_read_conflict_on_a_key_keeps_to_it
            added_write_conflict_counts_as_write
            added_write_conflict_makes_reads_count
            added_write_conflicts_do_not_conflict_with_each_other
            rows_taken_by_snapshot_conflict_only_by_themselves
            empty_conflict_range_conflicts_with_nothing
        );
        $crate::__promises!($make, conflicts:
            read_conflicts_with_set
            read_conflicts_with_set_of_the_same_value
            read_of_missing_key_conflicts_with_its_creation
            read_conflicts_with_clears
            read_conflicts_with_add
            read_conflicts_with_versionstamped_value
            range_read_conflicts_with_versionstamped_key
            disjoint_keys_do_not_conflict
            range_read_conflicts_with_insert
            range_read_conflicts_with_change_of_a_row
            range_read_does_not_conflict_outside
            limited_range_read_conflicts_only_where_it_read
            reverse_limited_range_read_conflicts_only_where_it_read
            unfilled_limit_counts_to_the_end_of_the_range
            page_conflicts_only_where_it_read
            clear_of_an_empty_range_does_not_conflict
            blind_writes_never_conflict
            snapshot_reads_never_conflict
            read_only_transaction_never_conflicts
            writes_before_the_snapshot_do_not_conflict
            lost_update_is_refused
            write_skew_is_refused
            phantom_is_refused
            conflict_writes_nothing_and_can_be_retried
            uncommitted_writes_do_not_conflict
            read_of_own_add_conflicts
            read_of_own_set_does_not_conflict
        );
        $crate::__promises!($make, directories:
            created_directory_can_be_opened
            parents_are_made
            create_of_an_existing_directory_fails
            missing_directory_is_an_error
            empty_path_is_an_error
            list_has_the_names_directly_below
            empty_path_lists_the_top
            names_hold_any_character
            directories_never_share_a_prefix
            rename_keeps_prefix_and_data
            rename_to_a_wrong_path_fails
            remove_takes_data_and_children
            uncommitted_directory_does_not_exist
            concurrent_creates_have_distinct_prefixes
            concurrent_opens_get_one_directory
        );
        $crate::__promises!($make, lifecycle:
            committed_transaction_refuses_everything
            cancelled_transaction_refuses_everything
            conflicting_transaction_refuses_everything
            write_behind_a_commit_in_flight_is_refused
            ignored_write_error_fails_the_commit
            failed_read_does_not_fail_the_commit
        );
        $crate::__promises!($make, limits:
            longest_key_works
            longer_key_is_refused
            largest_value_works
            larger_value_is_refused
            large_transaction_commits
            larger_transaction_is_refused
            conflict_ranges_count_for_the_size
            system_keys_are_refused
            range_may_end_at_the_end_of_all_keys
        );
        $crate::__promises!($make, randomised:
            random_transactions_are_serializable
            random_transactions_agree_with_the_model
        );
        $crate::__promises!($make, ranges:
            begin_is_included_and_end_is_not
            bounds_need_not_exist
            rows_come_in_byte_order
            limit_bounds_the_rows
            reverse_reads_from_the_end
            limit_zero_and_empty_range_have_no_rows
            inverted_range_is_an_error
            clearing_an_empty_range_clears_nothing
            cleared_range_keeps_its_end
            large_range_is_read_whole
            pages_join_without_gap_or_overlap
            limit_holds_over_pages
            pages_see_one_snapshot
            range_of_one_key_holds_just_it
        );
        $crate::__promises!($make, reads:
            missing_key_has_no_value
            empty_value_is_not_missing
            own_set_is_read
            own_clear_is_read
            own_clear_range_is_read
            own_add_is_read
            own_writes_show_in_ranges
            own_writes_count_for_limits
            snapshot_reads_see_own_writes
            reads_see_one_snapshot
            snapshot_keeps_what_is_cleared_later
            snapshot_is_taken_at_first_read
            commit_is_seen_by_the_next_transaction
            several_reads_are_in_flight_at_once
            dropped_read_harms_nothing
            read_can_be_awaited_elsewhere
            reads_check_their_keys
        );
        $crate::__promises!($make, retry:
            conflict_is_retried
            conflict_does_not_say_maybe_executed
            error_of_the_user_is_returned_and_nothing_written
            wrapped_retryable_error_is_retried
            error_that_is_not_retryable_is_returned
            attempts_end_at_their_maximum
            deadline_ends_a_closure_that_hangs
            result_is_returned_after_the_commit
        );
        $crate::__promises!($make, tenants:
            tenant_is_its_directory
            tenants_share_no_keys
            concurrent_transactions_take_effect_once
        );
        $crate::__promises!($make, tuples:
            tuples_are_packed_as_by_foundationdb
            packed_tuples_are_stored_in_tuple_order
            subspace_range_holds_just_its_tuples
        );
        $crate::__promises!($make, versions:
            read_version_grows_with_commits
            read_version_of_a_transaction_stays
            read_version_is_that_of_the_reads
        );
        $crate::__promises!($make, versionstamps:
            versionstamps_increase
            versionstamped_value_holds_the_stamp_at_its_offset
            versionstamped_key_holds_the_stamp_at_its_offset
            placeholder_does_not_matter
            versionstamped_keys_are_in_commit_order
            user_versions_order_a_transaction
            user_versions_end_after_65536
            template_that_is_too_short_is_refused
            own_versionstamped_value_is_unreadable
            range_of_own_versionstamped_key_is_unreadable
            own_clear_leaves_versionstamped_keys
            read_only_transaction_has_no_versionstamp
            failed_transaction_has_no_versionstamp
            concurrent_commits_have_distinct_versionstamps
            versionstamps_follow_what_was_read
        );
        $crate::__promises!($make, watches:
            watch_resolves_after_set
            watch_resolves_after_creation
            watch_resolves_after_clear
            watch_resolves_after_clear_range
            watch_resolves_after_add
            watch_resolves_after_versionstamped_value
            waiting_watch_is_woken
            change_before_the_watching_commit_is_not_lost
            change_before_the_first_poll_is_not_lost
            all_watches_on_a_key_resolve
            watch_on_own_write_resolves_after_the_next_change
            own_write_behind_the_watch_is_a_change
            watch_takes_a_read_conflict
            watch_of_a_conflicting_transaction_resolves
            watch_of_a_cancelled_transaction_fails
            watch_outlives_its_transaction
            dropped_watches_are_freed
            dropped_watch_disturbs_nobody
            waiting_in_a_loop_reaches_the_last_value
        );
    };
    ($make:expr, $noun:ident: $($promise:ident)*) => {
        mod $noun {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::conformance::run(
                        stringify!($promise),
                        async { $make },
                        $crate::conformance::$noun::$promise,
                    );
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promises_about_time {
    (skip: $reason:literal) => {
        $crate::__promises_about_time!(@list #[ignore = $reason], |_: $crate::Env| -> $crate::Subject {
            panic!($reason)
        });
    };
    (@list $(#[$attribute:meta])?, $make_in:expr) => {
        $crate::__promises_about_time!(@module $(#[$attribute])?, $make_in, age:
            old_transaction_cannot_read
            old_transaction_cannot_commit
            transaction_lasts_nearly_five_seconds
            age_counts_from_the_first_read
            blind_transaction_is_never_too_old
            old_transaction_is_run_again
        );
    };
    (@module $(#[$attribute:meta])?, $make_in:expr, $noun:ident: $($promise:ident)*) => {
        $crate::__promises_about_time!(@tests ($(#[$attribute])?), $make_in, $noun: $($promise)*);
    };
    (@tests $attribute:tt, $make_in:expr, $noun:ident: $($promise:ident)*) => {
        mod $noun {
            #[allow(unused_imports)]
            use super::*;
            $( $crate::__promises_about_time!(@test $attribute, $make_in, $noun, $promise); )*
        }
    };
    (@test ($(#[$attribute:meta])?), $make_in:expr, $noun:ident, $promise:ident) => {
        #[test]
        $(#[$attribute])?
        fn $promise() {
            $crate::conformance::run_with_clock(
                stringify!($promise),
                $make_in,
                $crate::conformance::$noun::$promise,
            );
        }
    };
    ($make_in:expr) => {
        $crate::__promises_about_time!(@list , $make_in);
    };
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// A promise that nobody lists is a test that nobody runs.
    #[test]
    fn every_promise_is_listed() {
        let list = include_str!("list.rs");
        let listed: BTreeSet<_> = list.split_whitespace().collect();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        for entry in fs::read_dir(sources).unwrap() {
            let source = fs::read_to_string(entry.unwrap().path()).unwrap();
            for (at, _) in source.match_indices("\npub async fn ") {
                let rest = &source[at + "\npub async fn ".len()..];
                let (name, _) = rest.split_once('(').unwrap();
                assert!(listed.contains(name), "{name} is not in list.rs");
                let documented = source[..at]
                    .lines()
                    .rev()
                    .take_while(|l| l.starts_with("///"));
                assert!(
                    documented
                        .last()
                        .is_some_and(|line| line.starts_with("/// SPEC ")),
                    "the documentation of {name} names no clause"
                );
            }
        }
    }
}
