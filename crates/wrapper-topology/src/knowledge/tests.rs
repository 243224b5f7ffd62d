//! What is known of a cluster after several answers.

mod times;

use std::time::Duration;

use super::*;

const DOMAIN: &str = "abc123.us-east-2.rds.amazonaws.com";

/// A knowledge with a clock that ticks with every answer.
struct Fixture {
    knowledge: Knowledge,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        let pattern = InstancePattern::parse(&format!("?.{DOMAIN}")).expect("a pattern");
        let knowledge = Knowledge::discovering(Naming { pattern, port: 5432 });
        Self { knowledge, now: Instant::now() + Duration::from_secs(3_600) }
    }

    /// A cluster whose writer `a` was found at the endpoint, and whose readers are `b` and `c`.
    fn settled() -> Self {
        let mut fixture = Self::new();
        assert_eq!(fixture.answers(None, "a", Role::Writer, &["a", "b", "c"]).0, Verdict::Writer);
        fixture
    }

    fn tick(&mut self, millis: u64) -> Instant {
        self.now += Duration::from_millis(millis);
        self.now
    }

    /// Lets an instance answer, dialled by an id or by the endpoint; the first that is listed is
    /// the table's writer.
    fn answers(
        &mut self,
        dialled: Option<&str>,
        id: &str,
        role: Role,
        listed: &[&str],
    ) -> (Verdict, Vec<Effect>) {
        let asked = self.tick(1);
        self.answers_late(asked, dialled, id, role, listed)
    }

    fn answers_late(
        &mut self,
        asked: Instant,
        dialled: Option<&str>,
        id: &str,
        role: Role,
        listed: &[&str],
    ) -> (Verdict, Vec<Effect>) {
        let answered = self.tick(1);
        self.answers_between((asked, answered), dialled, id, role, listed)
    }

    fn answers_between(
        &mut self,
        (asked, answered): (Instant, Instant),
        dialled: Option<&str>,
        id: &str,
        role: Role,
        listed: &[&str],
    ) -> (Verdict, Vec<Effect>) {
        let row = |(at, id): (usize, &&str)| Row {
            id: (*id).into(),
            is_writer: at == 0,
            cpu: None,
            lag: None,
            updated: None,
        };
        let answer = Answer {
            id: id.into(),
            is_writer: role == Role::Writer,
            is_read_only: role == Role::Reader,
            rows: listed.iter().enumerate().map(row).collect(),
        };
        let dialled = dialled.map_or(Target::Endpoint, |id| self.at(id));
        self.knowledge.answered(&Evidence { dialled, asked, answered, answer })
    }

    fn at(&self, id: &str) -> Target {
        Target::Instance { id: id.into(), host: format!("{id}.{DOMAIN}").into(), port: 5432 }
    }

    fn fails(&mut self, id: &str) -> Vec<Effect> {
        let asked = self.tick(1);
        let now = self.tick(1);
        let target = self.at(id);
        self.knowledge.failed(&target, asked, now)
    }

    fn writer(&self) -> Option<&str> {
        self.knowledge.writer().map(|writer| &*writer.id)
    }

    fn hosts(&self) -> Vec<&str> {
        self.knowledge.members().iter().map(|member| &*member.host).collect()
    }
}

fn cuts(effects: &[Effect]) -> Vec<(&str, bool)> {
    let cut = |effect| match effect {
        &Effect::Cut { ref id, is_all, .. } => Some((&**id, is_all)),
        _ => None,
    };
    effects.iter().filter_map(cut).collect()
}

fn changes(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::WriterChanged { .. })).count()
}

#[test]
fn writer_is_believed_on_its_own_word() {
    let fixture = Fixture::settled();

    assert_eq!((fixture.writer(), fixture.knowledge.epoch()), (Some("a"), 1));
    assert!(!fixture.knowledge.is_in_doubt());
    assert_eq!(fixture.hosts(), ["a", "b", "c"].map(|id| format!("{id}.{DOMAIN}")));
}

#[test]
fn table_of_a_reader_is_only_a_hint() {
    let mut fixture = Fixture::settled();

    let (verdict, effects) = fixture.answers(Some("b"), "b", Role::Reader, &["c", "b", "a"]);

    assert_eq!((verdict, fixture.writer(), changes(&effects)), (Verdict::Reader, Some("a"), 0));
    assert!(fixture.knowledge.is_in_doubt(), "`a` is to be asked");
    fixture.answers(Some("a"), "a", Role::Writer, &["a", "b", "c"]);
    assert!(!fixture.knowledge.is_in_doubt());
}

#[test]
fn demoted_writer_is_cut_on_its_own_word_and_followed_by_the_next() {
    let mut fixture = Fixture::settled();

    let (verdict, effects) = fixture.answers(Some("a"), "a", Role::Reader, &["b", "a", "c"]);
    assert_eq!((verdict, fixture.writer(), cuts(&effects)), (Verdict::Reader, None, vec![("a", false)]));
    assert_eq!(fixture.knowledge.writer_candidates()[0], fixture.at("b"), "the hint");

    let (verdict, effects) = fixture.answers(Some("b"), "b", Role::Writer, &["b", "a", "c"]);
    assert_eq!((verdict, fixture.writer(), fixture.knowledge.epoch()), (Verdict::Writer, Some("b"), 2));
    assert_eq!((changes(&effects), cuts(&effects)), (1, Vec::new()));
}

#[test]
fn silent_writer_is_replaced_and_cut_once_another_is_verified() {
    let mut fixture = Fixture::settled();

    assert!(fixture.fails("a").is_empty(), "nobody is cut for being silent alone");
    assert_eq!(fixture.writer(), Some("a"));
    assert!(fixture.knowledge.is_in_doubt());

    let (_, effects) = fixture.answers(Some("b"), "b", Role::Writer, &["b", "a", "c"]);
    assert_eq!((fixture.writer(), cuts(&effects)), (Some("b"), vec![("a", true)]));
}

#[test]
fn silent_reader_is_cut_once_that_is_sure_and_never_while_no_instance_answers() {
    let mut fixture = Fixture::settled();
    assert!(fixture.fails("b").is_empty(), "once may be a blip");
    assert_eq!(cuts(&fixture.fails("b")), [("b", true)]);

    let mut fixture = Fixture::settled();
    fixture.fails("a");
    for _ in 0..3 {
        assert!(fixture.fails("b").is_empty(), "the network may be ours");
    }
}

#[test]
fn rival_writer_changes_nothing_and_is_reported_once() {
    let mut fixture = Fixture::settled();

    let (verdict, effects) = fixture.answers(Some("b"), "b", Role::Writer, &["b", "a", "c"]);
    assert_eq!((verdict, fixture.writer(), effects), (Verdict::Unclear, Some("a"), Vec::new()));
    assert!(fixture.knowledge.is_in_doubt(), "both are asked anew");

    let (_, effects) = fixture.answers(Some("a"), "a", Role::Writer, &["a", "b", "c"]);
    assert!(matches!(&effects[..], [Effect::RivalWriter { .. }]), "{effects:?}");
    assert!(!fixture.knowledge.is_in_doubt());
    fixture.answers(Some("b"), "b", Role::Writer, &["b", "a", "c"]);
    let (_, effects) = fixture.answers(Some("a"), "a", Role::Writer, &["a", "b", "c"]);
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn word_from_before_the_writers_own_does_not_count() {
    let mut fixture = Fixture::settled();
    let before = fixture.now - Duration::from_millis(1);
    fixture.answers(Some("a"), "a", Role::Reader, &["b", "a"]);

    let (verdict, _) = fixture.answers_late(before, Some("b"), "b", Role::Writer, &["b", "a"]);

    assert_eq!((verdict, fixture.writer()), (Verdict::Unclear, None));
}

#[test]
fn older_word_of_the_same_instance_does_not_count() {
    let mut fixture = Fixture::settled();
    let asked = fixture.tick(1);
    fixture.answers(Some("a"), "a", Role::Reader, &["b", "a"]);

    let (verdict, _) = fixture.answers_late(asked, Some("a"), "a", Role::Writer, &["a", "b"]);

    assert_eq!((verdict, fixture.writer()), (Verdict::Unclear, None));
}

/// Even where nobody else is the writer, as after a failover, whose first answers may be stale.
#[test]
fn answers_that_disagree_are_no_word() {
    for disagreement in [true, false] {
        for is_writer_silent in [true, false] {
            let mut fixture = Fixture::settled();
            if is_writer_silent {
                fixture.fails("a");
            }
            let (asked, answered) = (fixture.tick(1), fixture.tick(1));
            let row =
                |id: &str| Row { id: id.into(), is_writer: id == "b", cpu: None, lag: None, updated: None };
            let (is_writer, is_read_only) = (disagreement, disagreement);
            let answer = Answer { id: "b".into(), is_writer, is_read_only, rows: vec![row("b"), row("a")] };

            let evidence = Evidence { dialled: fixture.at("b"), asked, answered, answer };

            assert_eq!(fixture.knowledge.answered(&evidence), (Verdict::Unclear, Vec::new()));
            assert_eq!(fixture.writer(), Some("a"));
        }
    }
}

#[test]
fn alien_cluster_of_the_same_domain_is_not_followed() {
    let mut fixture = Fixture::settled();
    // A reader that lies leads to an instance of another cluster, which answers in good faith that
    // it is the writer there.
    fixture.answers(Some("b"), "b", Role::Reader, &["staging-1", "b", "a", "c"]);
    fixture.fails("a");

    let (verdict, effects) =
        fixture.answers(Some("staging-1"), "staging-1", Role::Writer, &["staging-1", "staging-2"]);

    assert_eq!(verdict, Verdict::Rejected("it lists no known instance"));
    assert!(matches!(&effects[..], [Effect::Rejected { .. }]), "{effects:?}");
    assert_eq!(fixture.writer(), Some("a"));
}

#[test]
fn endpoint_that_leads_to_another_cluster_is_followed_once_no_instance_is_left() {
    let mut fixture = Fixture::settled();
    let listed = ["new-1", "new-2"];
    assert!(matches!(fixture.answers(None, "new-1", Role::Writer, &listed).0, Verdict::Rejected(_)));

    fixture.fails("a");
    let (verdict, effects) = fixture.answers(None, "new-1", Role::Writer, &listed);

    assert_eq!((verdict, fixture.writer(), fixture.knowledge.epoch()), (Verdict::Writer, Some("new-1"), 2));
    assert_eq!(cuts(&effects), [("a", true)]);
}

#[test]
fn instance_that_leads_to_another_cluster_is_not_followed_though_no_instance_is_left() {
    let mut fixture = Fixture::settled();
    fixture.fails("a");

    let (verdict, _) = fixture.answers(Some("new-1"), "new-1", Role::Writer, &["new-1", "new-2"]);

    assert_eq!(verdict, Verdict::Rejected("it lists no known instance"));
    assert_eq!(fixture.writer(), Some("a"));
}

#[test]
fn instance_that_does_not_list_itself_is_void() {
    let mut fixture = Fixture::settled();

    let (verdict, _) = fixture.answers(Some("b"), "b", Role::Reader, &["a", "c"]);

    assert_eq!(verdict, Verdict::Rejected("it does not list itself"));
}

#[test]
fn instance_that_gives_another_id_is_void() {
    let mut fixture = Fixture::settled();

    let (verdict, _) = fixture.answers(Some("b"), "c", Role::Writer, &["c", "a", "b"]);

    assert_eq!(verdict, Verdict::Rejected("it reports another id than the dialled one"));
}

#[test]
fn more_than_32_rows_void_an_answer() {
    let names: Vec<String> = (0..32).map(|number| format!("i-{number}")).collect();
    let mut listed = vec!["a"];
    listed.extend(names.iter().map(String::as_str));
    let mut fixture = Fixture::new();

    assert_eq!(
        fixture.answers(None, "a", Role::Writer, &listed).0,
        Verdict::Rejected("it lists more than 32 instances")
    );
    assert_eq!(fixture.answers(None, "a", Role::Writer, &listed[..32]).0, Verdict::Writer);
    assert_eq!(fixture.knowledge.members().len(), 32);
}

#[test]
fn ids_that_make_no_name_lead_nowhere() {
    let mut fixture = Fixture::new();
    let evil = ["evil.example", "a.b", "", "x/y", "b@evil", "?", "ü"];
    let mut listed = vec!["a"];
    listed.extend(evil);

    fixture.answers(None, "a", Role::Writer, &listed);
    for id in evil {
        assert!(
            matches!(fixture.answers(None, id, Role::Writer, &[id, "a"]).0, Verdict::Rejected(_)),
            "{id}"
        );
    }

    assert_eq!(fixture.hosts(), [format!("a.{DOMAIN}")]);
    for target in fixture.knowledge.writer_candidates() {
        let Target::Instance { host, .. } = target else { continue };
        assert!(host.ends_with(DOMAIN), "{host}");
    }
}

#[test]
fn fixed_instances_are_all_that_there_are() {
    let hosts = ["a.example", "b.example"].map(|host| (host.to_owned(), 5432));
    let mut fixture = Fixture { knowledge: Knowledge::fixed(hosts), ..Fixture::new() };
    let fixed = |host: &str| Target::Instance { id: host.into(), host: host.into(), port: 5432 };
    let mut answers = |host: &str, is_writer: bool| {
        let (asked, answered) = (fixture.tick(1), fixture.tick(1));
        let answer = Answer { id: host.into(), is_writer, is_read_only: !is_writer, rows: Vec::new() };
        fixture.knowledge.answered(&Evidence { dialled: fixed(host), asked, answered, answer }).0
    };

    assert_eq!(answers("a.example", true), Verdict::Writer);
    assert_eq!(answers("b.example", false), Verdict::Reader);
    assert_eq!(answers("c.example", true), Verdict::Rejected("it is not one of the configured instances"));
    assert_eq!(fixture.knowledge.writer_candidates()[0], fixed("a.example"));
    assert!(!fixture.knowledge.writer_candidates().contains(&Target::Endpoint));
}

#[test]
fn instance_whose_name_leads_nowhere_is_reached_by_the_endpoint() {
    let mut fixture = Fixture::settled();
    fixture.fails("a");
    fixture.answers(None, "a", Role::Writer, &["a", "b", "c"]);

    assert_eq!(fixture.knowledge.writer_candidates()[0], Target::Endpoint);

    fixture.answers(Some("a"), "a", Role::Writer, &["a", "b", "c"]);
    assert_eq!(fixture.knowledge.writer_candidates()[0], fixture.at("a"));
}

#[test]
fn instance_that_the_writer_lists_no_more_is_forgotten() {
    let mut fixture = Fixture::settled();

    fixture.answers(Some("a"), "a", Role::Writer, &["a", "c"]);

    assert_eq!(fixture.hosts(), ["a", "c"].map(|id| format!("{id}.{DOMAIN}")));
}
