use super::*;
use crate::evaluate::Stores;
use crate::matches::testing::{self, Row, saved};
use crate::needs::{EstimatorUnfit, EstimatorsMade};
use crate::syntax::iptables_save;
use keepstate_packet::Family::{V4, V6};
use keepstate_packet::Instant;

const TEXTS: &[Row] = &[
    (
        "-m rateest --rateest RE1 --rateest-eq --rateest-pps 5",
        "=",
        " rateest match RE1 pps eq 5",
        "=",
    ),
    (
        "-m rateest --rateest RE1 ! --rateest-lt --rateest-bps 8bit",
        "=",
        " rateest match RE1 bps 8bit ! lt",
        " rateest match RE1 bps 1 ! lt",
    ),
    (
        "-m rateest --rateest RE1 --rateest-gt --rateest-pps 5 --rateest-bps 8bit",
        "-m rateest --rateest RE1 --rateest-gt --rateest-bps 8bit --rateest-gt --rateest-pps 5",
        " rateest match RE1 bps 8bit gt pps gt 5",
        " rateest match RE1 bps 1 gt pps gt 5",
    ),
    (
        "-m rateest --rateest RE1 ! --rateest-gt --rateest-eq --rateest-bps 8bit",
        "-m rateest --rateest RE1 ! --rateest-eq --rateest-bps 8bit",
        " rateest match RE1 bps 8bit ! eq",
        " rateest match RE1 bps 1 ! eq",
    ),
    (
        "-m rateest --rateest1 RE1 --rateest-gt --rateest2 RE2 --rateest-pps --rateest-bps",
        "-m rateest --rateest1 RE1 --rateest-gt --rateest-bps --rateest-gt --rateest-pps --rateest2 RE2",
        " rateest match RE1 bps pps gt RE2 bps pps",
        "=",
    ),
    (
        "-m rateest --rateest1 RE1 --rateest-gt --rateest2 RE2 --rateest-bps1 8bit",
        "-m rateest --rateest1 RE1 --rateest-gt --rateest-bps --rateest2 RE2",
        " rateest match RE1 bps gt RE2 bps",
        "=",
    ),
    (
        "-m rateest --rateest1 RE1 --rateest-gt --rateest-bps1 8bit --rateest-pps",
        "-m rateest --rateest RE1 --rateest-gt --rateest-bps 0bit --rateest-gt --rateest-pps 0",
        " rateest match RE1 bps 0bit gt pps gt 0",
        " rateest match RE1 bps 0 gt pps gt 0",
    ),
    (
        "-m rateest --rateest-delta --rateest RE1 --rateest-bps1 8bit --rateest-lt --rateest-bps2 16bit",
        "=",
        " rateest match RE1 delta bps 8bit 16bit lt",
        " rateest match RE1 delta bps 1 2 lt",
    ),
    (
        "-m rateest --rateest-delta --rateest RE1 --rateest-bps1 8bit ! --rateest-gt --rateest-bps2 80bit \
         --rateest-pps1 4 ! --rateest-gt --rateest-pps2 6",
        "=",
        " rateest match RE1 delta bps 8bit 80bit ! gt pps 4 ! gt 6",
        " rateest match RE1 delta bps 1 10 ! gt pps 4 ! gt 6",
    ),
    (
        "-m rateest --rateest-delta --rateest1 RE1 --rateest-gt --rateest2 RE2 --rateest-pps1 4 \
         --rateest-pps2 6 --rateest-bps1 8bit --rateest-bps2 80bit",
        "-m rateest --rateest-delta --rateest1 RE1 --rateest-bps1 8bit --rateest-gt --rateest-bps2 80bit \
         --rateest-pps1 4 --rateest-gt --rateest-pps2 6 --rateest2 RE2",
        " rateest match RE1 delta bps 8bit pps 4 gt RE2 bps 80bit pps 6",
        " rateest match RE1 delta bps 1 pps 4 gt RE2 bps 10 pps 6",
    ),
    ("-m rateest --rateest-gt --rateest-pps 5", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-pps 5", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest2 RE2", "", "", ""),
    ("-m rateest --rateest RE1 --rateest1 RE2 --rateest-gt --rateest-pps 5", "", "", ""),
    ("-m rateest ! --rateest RE1 --rateest-gt --rateest-pps 5", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt ! --rateest-pps 5", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-gt --rateest-pps 5", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-pps 5 --rateest-pps2 6", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-pps 4294967296", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-pps 5x", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-pps \"\"", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-bps \"\"", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-bps 3xyz", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-bps 3ibit", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-bps bit", "", "", ""),
    ("-m rateest --rateest RE1 --rateest-gt --rateest-bps \"80 bit\"", "", "", ""),
];

#[test]
fn texts() {
    // A name that is not given is empty, and may be that of an estimator.
    let nameless = saved(V4, "-m rateest --rateest-gt --rateest-pps 5");
    assert_eq!(nameless.as_deref(), Ok("-m rateest --rateest \"\" --rateest-gt --rateest-pps 5"));
    let rows: Vec<Row> =
        TEXTS.iter().copied().filter(|row| !row.0.starts_with("-m rateest --rateest-gt")).collect();
    testing::check(V4, &rows);
    testing::check(V6, &rows);
}

#[test]
fn rates_are_kept_in_bytes() {
    let rows = [
        ("5", "0bit"),
        ("999", "992bit"),
        ("5bps", "40bit"),
        ("100kbit", "100000bit"),
        ("100Kibit", "102400bit"),
        ("2.5mbit", "2500Kbit"),
        ("1gbit", "1000Mbit"),
        ("1tbit", "3568Mbit"),
        ("1Mibit", "1049Kbit"),
        ("3KBps", "24000bit"),
        ("3KiBps", "24576bit"),
        ("12345678", "12346Kbit"),
        ("1e3kbit", "1000Kbit"),
        ("0x50", "80bit"),
        ("1Tibps", "0bit"),
        ("4294967295bps", "34360Mbit"),
        ("4294967296bps", "0bit"),
        ("inf", "0bit"),
        ("1e30", "0bit"),
    ];
    for (given, kept) in rows {
        assert_eq!(rate(given).map(written).as_deref(), Some(kept), "{given}");
    }
}

fn ruleset(rules: &str) -> crate::model::Ruleset {
    let text = format!("*filter\n{rules}COMMIT\n");
    iptables_save::parse(&text, V4)
        .unwrap_or_else(|faults| panic!("{}", faults[0].render("rules", &text)))
}

#[test]
fn what_an_estimator_measures_is_asked() {
    let made = "-A INPUT -j RATEEST --rateest-name NAME --rateest-interval 250ms --rateest-ewmalog 500ms\n";
    let (a, z) = (made.replace("NAME", "A"), made.replace("NAME", "Z"));
    // A: 40 packets of 100 bytes in an interval, so half of 160 a second; Z: none.
    let rows = [
        ("--rateest A --rateest-eq --rateest-pps 80", true),
        ("--rateest A --rateest-eq --rateest-pps 81", false),
        ("--rateest A --rateest-gt --rateest-pps 79", true),
        ("--rateest A --rateest-lt --rateest-pps 80", false),
        ("--rateest A ! --rateest-lt --rateest-pps 80", true),
        ("--rateest A --rateest-eq --rateest-bps 64kbit", true),
        ("--rateest A --rateest-eq --rateest-bps 64kbit --rateest-pps 1", false),
        ("--rateest A ! --rateest-eq --rateest-bps 64kbit --rateest-pps 1", true),
        ("--rateest A ! --rateest-eq --rateest-bps 64kbit --rateest-pps 80", false),
        ("--rateest1 A --rateest-gt --rateest-bps --rateest2 Z", true),
        ("--rateest1 Z --rateest-lt --rateest-pps --rateest2 A", true),
        ("--rateest-delta --rateest A --rateest-pps1 100 --rateest-eq --rateest-pps2 20", true),
        ("--rateest-delta --rateest A --rateest-pps1 10 --rateest-eq --rateest-pps2 0", true),
        (
            "--rateest-delta --rateest1 A --rateest-pps1 88 --rateest-eq --rateest2 Z --rateest-pps2 8",
            true,
        ),
        (
            "--rateest-delta --rateest1 A --rateest-pps1 88 --rateest-lt --rateest2 Z --rateest-pps2 9",
            true,
        ),
    ];
    for (rule, wanted) in rows {
        let ruleset = ruleset(&format!("{a}{z}-A INPUT -m rateest {rule}\n"));
        let mut stores = Stores::new(1);
        stores.declare(core::iter::once(&ruleset));
        let place = stores.rateest.place("A").unwrap();
        let estimator = stores.rateest.at_mut(place).unwrap();
        (0..40).for_each(|_| estimator.add(Instant(0), 100));
        let found = testing::ask_with(&ruleset.tables[0].chains[0].rules[2], &mut stores);
        assert_eq!(found, Answer::from(wanted), "{rule}");
    }
}

#[test]
fn estimators_are_there_before_they_are_asked() {
    let check = |rules: &str| {
        let mut made = EstimatorsMade::default();
        ruleset(rules).needs().estimators.iter().try_for_each(|used| made.take(used))
    };
    let make =
        "-A INPUT -j RATEEST --rateest-name A --rateest-interval 250ms --rateest-ewmalog 500ms\n";
    let other =
        "-A INPUT -j RATEEST --rateest-name A --rateest-interval 250ms --rateest-ewmalog 1s\n";
    let ask = "-A INPUT -m rateest --rateest A --rateest-gt --rateest-pps 5\n";
    let both = "-A INPUT -m rateest --rateest1 A --rateest2 B --rateest-gt --rateest-pps\n";
    assert_eq!(check(&format!("{make}{ask}{make}")), Ok(()));
    assert_eq!(check(&format!("{ask}{make}")), Err(EstimatorUnfit::Missing));
    assert_eq!(check(&format!("{make}{both}")), Err(EstimatorUnfit::Missing));
    assert_eq!(check(&format!("{make}{other}")), Err(EstimatorUnfit::Otherwise));
}
