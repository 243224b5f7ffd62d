//! What follows from answers, whenever they were asked for and on whichever threads.

use std::{
    sync::{Mutex, atomic::AtomicUsize, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use super::*;
use crate::{
    answer::Answer,
    knowledge::{Evidence, Target, Verdict},
};

fn target(id: &str) -> Target {
    Target::Instance { id: id.into(), host: id.into(), port: 5432 }
}

/// An answer to a query that was asked at this time, which has just arrived.
fn reports(id: &str, is_writer: bool, asked: Instant) -> Evidence {
    let answer = Answer { id: id.into(), is_writer, is_read_only: !is_writer, rows: Vec::new() };
    Evidence { dialled: target(id), asked, answered: Instant::now(), answer }
}

fn two_instances() -> Topology {
    Topology::fixed("a", ["b"]).expect("are hosts")
}

/// The writer `a` stops answering, and `b` takes over.
fn fail_over(topology: &Topology) {
    topology.failed(&target("a"), Instant::now());
    assert_eq!(topology.answered(&reports("b", true, Instant::now())), Verdict::Writer);
}

#[tokio::test(start_paused = true)]
async fn suspicion_outlasts_the_answer_to_a_query_that_is_older() {
    let (topology, tick) = (two_instances(), Duration::from_millis(1));
    for monitors in [false, true] {
        let answered = |evidence: &Evidence| match monitors {
            true => topology.monitor_answered(evidence),
            false => topology.answered(evidence),
        };
        let asked = Instant::now();
        tokio::time::advance(tick).await;
        topology.suspect();
        tokio::time::advance(tick).await;

        assert_eq!(answered(&reports("a", true, asked)), Verdict::Writer);
        assert!(topology.is_doubted(), "the monitor's: {monitors}");

        assert_eq!(answered(&reports("a", true, Instant::now())), Verdict::Writer);
        assert!(!topology.is_doubted(), "the monitor's: {monitors}");
        tokio::time::advance(tick).await;
    }
}

#[test]
fn changes_of_two_threads_are_reported_in_their_order() {
    let topology = two_instances();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (listener, heard) = (topology.clone(), Arc::clone(&told));
    let events = Events::none().with(move |event| {
        let Event::WriterChanged(changed) = event else { return };
        if changed.epoch == 1 {
            // The next change comes while this one is being reported.
            let other = listener.clone();
            thread::spawn(move || fail_over(&other)).join().expect("does not panic");
        }
        let seen = listener.snapshot().epoch();
        heard.lock().expect("no listener panics").push((changed.epoch, seen));
    });
    let _listening = topology.bind(None, None, &events).expect("binds");

    topology.answered(&reports("a", true, Instant::now()));

    assert_eq!(*told.lock().expect("no listener panics"), [(1, 2), (2, 2)]);
    assert_eq!(topology.stats().epoch, 2);
}

#[test]
fn listener_may_change_the_topology_and_panic() {
    let topology = two_instances();
    let (listener, heard) = (topology.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&heard);
    let events = Events::none().with(move |event| {
        let Event::WriterChanged(changed) = event else { return };
        count.fetch_add(1, Ordering::SeqCst);
        if changed.epoch == 1 {
            fail_over(&listener);
        }
        std::panic::resume_unwind(Box::new("a listener of a test"));
    });
    let _listening = topology.bind(None, None, &events).expect("binds");

    topology.answered(&reports("a", true, Instant::now()));

    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

#[test]
fn waiter_whose_waker_panics_keeps_no_later_change_from_being_reported() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker of a test"));
        }
    }
    let (topology, heard) = (two_instances(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&heard);
    let events = Events::none().with(move |_| _ = count.fetch_add(1, Ordering::SeqCst));
    let _listening = topology.bind(None, None, &events).expect("binds");
    let mut changed = Box::pin(topology.changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());

    topology.answered(&reports("a", true, Instant::now()));
    drop(changed);
    fail_over(&topology);

    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

#[test]
fn listeners_go_with_their_connector() {
    let (topology, heard) = (two_instances(), Arc::new(AtomicUsize::new(0)));
    let listens = || {
        let heard = Arc::clone(&heard);
        let events = Events::none().with(move |_| _ = heard.fetch_add(1, Ordering::SeqCst));
        topology.bind(None, None, &events).expect("binds")
    };
    for _ in 0..100 {
        drop(listens());
    }
    let _last = listens();

    topology.answered(&reports("a", true, Instant::now()));

    assert_eq!((heard.load(Ordering::SeqCst), topology.state().listeners.len()), (1, 1));
}

#[test]
fn listener_that_goes_with_its_connector_while_it_runs_may_ask_as_it_is_dropped() {
    /// A value of a listener that uses the topology when it is dropped.
    struct AsksLast(Topology);
    impl Drop for AsksLast {
        fn drop(&mut self) {
            self.0.stats();
        }
    }
    let (ended, end) = mpsc::channel();
    // On a thread of its own: a lock that is taken twice never lets go.
    thread::spawn(move || {
        let topology = two_instances();
        let listening = Arc::new(Mutex::new(None));
        let (taken, value) = (Arc::clone(&listening), AsksLast(topology.clone()));
        let events = Events::none().with(move |_| {
            let _value = &value;
            drop(taken.lock().expect("no listener panics").take());
        });
        *listening.lock().expect("no listener panics") = topology.bind(None, None, &events).ok();
        drop(events);

        topology.answered(&reports("a", true, Instant::now()));
        ended.send(listening.lock().expect("no listener panics").is_none())
    });

    assert_eq!(end.recv_timeout(Duration::from_secs(30)), Ok(true));
}

#[test]
fn listener_that_does_not_return_leaves_a_short_queue() {
    let topology = Topology::fixed("a", ["b", "c"]).expect("are hosts");
    let (entered, entry) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let events = Events::none().with(move |_| {
        entered.send(()).expect("is awaited");
        released.lock().expect("no listener panics").recv().expect("is released");
    });
    let _listening = topology.bind(None, None, &events).expect("binds");
    let blocked = topology.clone();
    let blocked = thread::spawn(move || blocked.answered(&reports("a", true, Instant::now())));
    entry.recv().expect("the listener is called");

    let mut last = [Instant::now(); 2];
    for _ in 0..1_000 {
        for (id, last) in ["b", "c"].into_iter().zip(&mut last) {
            *last = Instant::now();
            topology.answered(&reports(id, false, *last));
        }
    }

    let cuts: Vec<_> = topology.state().consequences.iter().flat_map(|next| next.effects.clone()).collect();
    let cut = |id: &str, before| Effect::Cut { id: id.into(), before, is_all: false };
    assert!(cuts == [cut("b", last[0]), cut("c", last[1])], "{} wait", cuts.len());
    release.send(()).expect("the listener waits");
    assert_eq!(blocked.join().expect("does not panic"), Verdict::Writer);
    assert_eq!(topology.state().consequences.len(), 0);
}

#[test]
fn listener_that_does_not_return_while_the_writer_changes_leaves_a_short_queue() {
    let topology = two_instances();
    let (entered, entry) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (released, heard) = (Mutex::new(released), Arc::new(Mutex::new(Vec::new())));
    let last = Arc::clone(&heard);
    let events = Events::none().with(move |event| {
        let Event::WriterChanged(changed) = event else { return };
        last.lock().expect("no listener panics").push((changed.to.clone(), changed.epoch));
        entered.send(()).expect("is awaited");
        // Only the first one waits: the sender is dropped when it is released.
        let _ = released.lock().expect("no listener panics").recv();
    });
    let _listening = topology.bind(None, None, &events).expect("binds");
    let blocked = topology.clone();
    let blocked = thread::spawn(move || blocked.answered(&reports("a", true, Instant::now())));
    entry.recv().expect("the listener is called");

    for _ in 0..200 {
        for (from, to) in [("a", "b"), ("b", "a")] {
            topology.failed(&target(from), Instant::now());
            assert_eq!(topology.answered(&reports(to, true, Instant::now())), Verdict::Writer);
            topology.answered(&reports(from, false, Instant::now()));
            // The new writer falls silent, and answers again.
            topology.failed(&target(to), Instant::now());
            topology.answered(&reports(to, true, Instant::now()));
        }
    }

    let state = topology.state();
    let effects: usize = state.consequences.iter().map(|next| next.effects.len()).sum();
    assert!(state.consequences.len() <= 32 && effects <= 200, "{} wait", state.consequences.len());
    drop(state);
    drop(release);
    assert_eq!(blocked.join().expect("does not panic"), Verdict::Writer);
    let heard = heard.lock().expect("no listener panics");
    assert_eq!(heard.last(), Some(&("a".to_owned(), topology.stats().epoch)));
    assert!(heard.windows(2).all(|pair| pair[0].1 < pair[1].1), "{heard:?}");
    assert_eq!(topology.stats().epoch, 401);
    assert_eq!(topology.state().consequences.len(), 0);
}
