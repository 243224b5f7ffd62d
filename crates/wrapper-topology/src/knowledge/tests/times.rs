//! Answers and failures that overlap, or are applied in another order than they were asked.

use super::*;

#[test]
fn claim_that_is_older_than_the_promotion_is_no_rival() {
    let mut fixture = Fixture::new();
    let asked = fixture.tick(1);
    fixture.answers(None, "a", Role::Writer, &["a", "b", "c"]);

    let (verdict, _) = fixture.answers_late(asked, Some("b"), "b", Role::Writer, &["b", "a", "c"]);

    assert_eq!((verdict, fixture.writer()), (Verdict::Unclear, Some("a")));
    assert!(!fixture.knowledge.is_in_doubt());
}

#[test]
fn connections_opened_after_the_query_outlive_the_report_of_a_reader() {
    let mut fixture = Fixture::settled();
    let asked = fixture.tick(1);

    let (_, effects) = fixture.answers_late(asked, Some("a"), "a", Role::Reader, &["b", "a", "c"]);

    assert!(effects.contains(&Effect::Cut { id: "a".into(), before: asked, is_all: false }), "{effects:?}");
}

#[test]
fn fence_of_the_writer_never_moves_back() {
    let mut fixture = Fixture::settled();
    let [slow, quick, claimed, early, late] = [1, 2, 3, 4, 5].map(|_| fixture.tick(1));
    let listed = ["a", "b", "c"];
    fixture.answers_between((slow, late), Some("a"), "a", Role::Writer, &listed);
    // Asked later, answered earlier, and applied last.
    fixture.answers_between((quick, claimed), Some("a"), "a", Role::Writer, &listed);
    fixture.fails("a");

    let between = (early, fixture.now);
    let (verdict, _) = fixture.answers_between(between, Some("b"), "b", Role::Writer, &["b", "a", "c"]);

    assert_eq!(verdict, Verdict::Unclear);
}

#[test]
fn failure_and_answer_that_overlap_leave_the_later_one() {
    let mut fixture = Fixture::settled();
    let [asked, answered, failed] = [1, 2, 3].map(|_| fixture.tick(1));
    let (a, listed) = (fixture.at("a"), ["a", "b", "c"]);
    let is_answering = |fixture: &Fixture| fixture.knowledge.member("a").is_some_and(Member::is_answering);

    // The answer was there before the failure, and is applied after it.
    fixture.knowledge.failed(&a, asked, failed);
    fixture.answers_between((asked, answered), Some("a"), "a", Role::Writer, &listed);
    assert!(!is_answering(&fixture));

    // The failure is that of a query from before an answer.
    let asked = fixture.tick(1);
    fixture.answers(Some("a"), "a", Role::Writer, &listed);
    let now = fixture.tick(1);
    fixture.knowledge.failed(&a, asked, now);
    assert!(is_answering(&fixture));
}

#[test]
fn lists_of_readers_never_add_up_to_more_than_32_instances() {
    let mut fixture = Fixture::settled();
    for round in 0..3 {
        let others: Vec<_> = (0..29).map(|number| format!("r{round}-{number}")).collect();
        let listed: Vec<_> = ["a", "b", "c"].into_iter().chain(others.iter().map(String::as_str)).collect();
        assert_eq!(fixture.answers(Some("b"), "b", Role::Reader, &listed).0, Verdict::Reader);
        assert_eq!(fixture.hosts().len(), 32, "round {round}");
    }
}
