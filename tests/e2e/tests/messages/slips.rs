//! Random slips in texts that are good otherwise.

use super::*;

static RIG: LazyLock<(Runtime, Fixture)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("starts");
    let rig = runtime.block_on(Fixture::start());
    (runtime, rig)
});

/// A typing mistake in a text, at a position.
#[derive(Clone, Debug)]
enum Slip {
    Delete,
    Insert(char),
    Replace(char),
    Swap,
    Truncate,
}

fn slip() -> impl Strategy<Value = (Slip, prop::sample::Index)> {
    let odd = || prop::sample::select("'\"`@:/?#&=%\\[]{},; \t\n\u{feff}é+.-_1a".chars().collect::<Vec<_>>());
    let slip = prop_oneof![
        3 => Just(Slip::Delete),
        3 => odd().prop_map(Slip::Insert),
        2 => odd().prop_map(Slip::Replace),
        1 => Just(Slip::Swap),
        1 => Just(Slip::Truncate),
    ];
    (slip, any::<prop::sample::Index>())
}

fn slipped(text: &str, slips: &[(Slip, prop::sample::Index)]) -> String {
    let mut characters: Vec<_> = text.chars().collect();
    for (slip, at) in slips {
        if characters.len() < 3 {
            break;
        }
        let at = at.index(characters.len() - 1);
        match slip {
            Slip::Delete => drop(characters.remove(at)),
            Slip::Insert(odd) => characters.insert(at, *odd),
            Slip::Replace(odd) => characters[at] = *odd,
            Slip::Swap => characters.swap(at, at + 1),
            Slip::Truncate => characters.truncate(at + 1),
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 700, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slips_in_a_valid_string_never_show_its_password(
        secret in "[A-Za-z0-9]{4}[!-~ ]{6}[A-Za-z0-9]{4}",
        slips in prop::collection::vec(slip(), 1..4),
        form in 0_usize..3,
        adapter in prop::sample::select(Adapter::ALL.to_vec()),
    ) {
        let encoded = e2e::forms(&secret)[1].clone();
        let scheme = adapter.scheme();
        let text = match form {
            0 => format!("{scheme}://jane:{encoded}@{HOST}:5432/app?plugins=iam&iamRegion=us-east-2"),
            1 => format!("{scheme}://jane:{secret}@{HOST}:5432/app?plugins=iam&iamRegion=us-east-2"),
            _ => {
                let quoted = secret.replace('\\', "\\\\").replace('\'', "\\'");
                format!("host={HOST} user=jane password='{quoted}' dbname=app plugins=iam")
            }
        };
        let text = slipped(&text, &slips);
        let (runtime, rig) = &*RIG;
        let ca = rig.server.ca_file().to_string_lossy();
        let said = runtime.block_on(Configuration::text(&text).quick(&ca).said(adapter));
        // A text that is accepted unchanged may contain a user or a database of this name.
        if said.message.is_some() {
            holds_no_secret(&format!("{adapter:?} {text:?}"), &secret, &said);
        }
    }
}
