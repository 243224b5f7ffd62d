//! Logins that fail, that follow a change and that are refused, on paused time.

use std::sync::Arc;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Asks for a turn at a host, which no other test uses.
async fn turn_at(pace: &Pace, host: &str, deadline: Instant) -> Option<Turn> {
    pace.admit(deadline, || ((), (host.into(), 1))).await.map(|(turn, ())| turn)
}

/// Asks for a turn that has to be free at once.
async fn free(pace: &Pace, host: &str) -> Turn {
    let begun = Instant::now();
    let turn = turn_at(pace, host, soon()).await.expect("in time");
    assert_eq!(begun.elapsed(), Duration::ZERO, "{host}");
    turn
}

/// How many turns each of the next seconds has, where each is asked for at once.
async fn turns_by_second<const N: usize>(pace: &Pace, host: &str) -> [usize; N] {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(N as u64);
    let mut counts = [0; N];
    while let Some(turn) = turn_at(pace, host, end).await {
        counts[(turn.at - begun).as_secs() as usize] += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn failures_are_spaced_out_and_those_side_by_side_count_once() {
    let (pace, host) = (Pace::default(), "failures");
    let turns = [free(&pace, host).await, free(&pace, host).await];
    let begun = Instant::now();

    assert_eq!(turns.map(|turn| pace.failed(&turn)), [Some(Duration::from_millis(100)), None]);

    let mut waited = Vec::new();
    for _ in 0..6 {
        let turn = turn_at(&pace, host, soon()).await.expect("in time");
        waited.push(begun.elapsed().as_millis());
        tokio::time::advance(Duration::from_millis(1)).await;
        pace.failed(&turn);
    }
    assert_eq!(waited, [100, 301, 702, 1_503, 3_104, 4_705]);
    let short = Instant::now() + Duration::from_millis(50);
    assert_eq!(turn_at(&pace, host, short).await, None, "too late");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_turn_at_the_deadline_or_after_it() {
    let (pace, host) = (Pace::default(), "deadline");
    let now = Instant::now();
    for late in [now, now - Duration::from_millis(1)] {
        assert_eq!(turn_at(&pace, host, late).await, None, "nobody else waits");
    }

    let turn = free(&pace, host).await;
    pace.failed(&turn);

    assert_eq!(turn_at(&pace, host, now + Duration::from_millis(100)).await, None);
    assert_eq!(now.elapsed(), Duration::ZERO, "there was nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn success_lets_everybody_go() {
    let (pace, host) = (Arc::new(Pace::default()), "success");
    let turn = free(&pace, host).await;
    pace.failed(&turn);
    let waiting = tokio::spawn({
        let pace = Arc::clone(&pace);
        async move { turn_at(&pace, host, soon()).await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();

    pace.succeeded();

    waiting.await.expect("runs").expect("is let through");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn change_of_the_writer_lets_few_through_at_first_and_then_doubles() {
    let (pace, host) = (Pace::default(), "change");
    pace.changed();

    assert_eq!(turns_by_second(&pace, host).await, [5, 10, 20, 40]);

    tokio::time::advance(Duration::from_secs(8)).await;
    for _ in 0..10_000 {
        free(&pace, host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn second_that_does_not_go_well_doubles_nothing() {
    let (pace, host) = (Pace::default(), "bad second");
    pace.changed();
    let turn = free(&pace, host).await;
    pace.failed(&turn);
    pace.succeeded();

    assert_eq!(turns_by_second(&pace, host).await, [4, 5, 10]);
}

#[tokio::test(start_paused = true)]
async fn each_host_has_a_gate_of_its_own_for_the_whole_process() {
    let paces = [Pace::default(), Pace::default()];
    paces.iter().for_each(Pace::changed);

    let (both, begun) = ("both", Instant::now());
    for turn in 0..5 {
        free(&paces[turn % 2], both).await;
    }
    for pace in &paces {
        let end = begun + Duration::from_millis(500);
        assert_eq!(turn_at(pace, both, end).await, None, "two topologies are one process");
    }
    for pace in &paces {
        free(pace, "another").await;
    }
}

#[tokio::test(start_paused = true)]
async fn turn_after_a_failure_passes_the_gate_too() {
    let (pace, host) = (Pace::default(), "failure and gate");
    pace.changed();
    for _ in 0..5 {
        free(&pace, host).await;
    }
    pace.lost();
    let begun = Instant::now();

    turn_at(&pace, host, soon()).await.expect("in time");

    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn loss_of_the_writer_lets_one_through_at_a_time_until_a_success() {
    let (pace, host) = (Pace::default(), "loss");
    let under_way = free(&pace, host).await;
    pace.lost();
    let begun = Instant::now();
    let at_once = begun + Duration::from_millis(1);
    assert_eq!(turn_at(&pace, host, at_once).await, None, "not all at once");
    assert_eq!(pace.failed(&under_way), None, "it failed with the loss");
    turn_at(&pace, host, soon()).await.expect("in time");
    assert_eq!(begun.elapsed().as_millis(), 100);
    let at_once = Instant::now() + Duration::from_millis(1);
    assert_eq!(turn_at(&pace, host, at_once).await, None, "one at a time");

    pace.succeeded();

    for _ in 0..100 {
        free(&pace, host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_by_throttling_let_five_a_second_through_however_many_try_again_at_once() {
    let (pace, host) = (Arc::new(Pace::default()), "throttled");
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let pace = Arc::clone(&pace);
        callers.spawn(async move {
            let mut seconds = Vec::new();
            let end = begun + Duration::from_millis(3_500);
            while let Some(turn) = turn_at(&pace, host, end).await {
                seconds.push(begun.elapsed().as_secs());
                tokio::time::sleep(Duration::from_millis(5)).await;
                gate::throttled(&turn);
            }
            seconds
        });
    }
    let seconds = callers.join_all().await.concat();

    let passed = |second| seconds.iter().filter(|at| **at == second).count();
    // All at first, before anybody knows; then five, whose refusal closes the gate for 1 s.
    assert_eq!([0, 1, 2, 3].map(passed), [25, 5, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn next_change_of_the_writer_leads_those_who_wait_for_the_former_to_the_next() {
    let pace = Arc::new(Pace::default());
    let writer = Arc::new(Mutex::new("former writer"));
    pace.changed();
    for _ in 0..5 {
        free(&pace, "former writer").await;
    }
    let waiting = tokio::spawn({
        let (pace, writer) = (Arc::clone(&pace), Arc::clone(&writer));
        let pick = move || ((), ((*writer.lock().expect("no panic")).into(), 1));
        async move { pace.admit(soon(), pick).await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();

    *writer.lock().expect("no panic") = "next writer";
    pace.changed();

    let (turn, ()) = waiting.await.expect("runs").expect("is let through");
    assert_eq!((&*turn.host.0, begun.elapsed()), ("next writer", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn gates_that_are_over_are_removed_whatever_began_them() {
    let pace = Pace::default();
    for host in 0..100 {
        let turn = free(&pace, &format!("throttled once {host}")).await;
        gate::throttled(&turn);
        tokio::time::advance(Duration::from_secs(9)).await;
    }
    assert_eq!(gate::count(), 1, "each begins where the one before is over");

    free(&pace, "throttled once 99").await;
    assert_eq!(gate::count(), 0, "the host's own login finds it over");

    for host in ["changed", "changed too"] {
        pace.changed();
        free(&pace, host).await;
        tokio::time::advance(Duration::from_secs(9)).await;
    }
    assert_eq!(gate::count(), 1);
}
