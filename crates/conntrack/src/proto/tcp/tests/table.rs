//! The state table, to be read by eye.

use super::super::states::{Step, step};
use super::*;

const STATES: [State; 10] = [
    State::None,
    State::SynSent,
    State::SynRecv,
    State::Established,
    State::FinWait,
    State::CloseWait,
    State::LastAck,
    State::TimeWait,
    State::Close,
    State::SynSent2,
];

const KINDS: [Kind; 6] = [Kind::Syn, Kind::SynAck, Kind::Fin, Kind::Ack, Kind::Rst, Kind::None];

fn printed(direction: Direction) -> String {
    let mut text = String::new();
    for state in STATES {
        let mut line = format!("{:<12}", state.name());
        for kind in KINDS {
            let cell = match step(direction, state, kind) {
                Step::To(next) => next.name(),
                Step::Ignore => "ignore",
                Step::Invalid => "-",
            };
            line += &format!("{cell:<12}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[test]
fn the_table_of_the_original_direction() {
    let expected = "\
            SYN         SYN-ACK     FIN         ACK         RST         none
NONE        SYN_SENT    -           -           ESTABLISHED -           -
SYN_SENT    SYN_SENT    -           -           -           CLOSE       -
SYN_RECV    ignore      SYN_RECV    FIN_WAIT    ESTABLISHED CLOSE       -
ESTABLISHED ignore      -           FIN_WAIT    ESTABLISHED CLOSE       -
FIN_WAIT    ignore      -           LAST_ACK    CLOSE_WAIT  CLOSE       -
CLOSE_WAIT  ignore      -           LAST_ACK    CLOSE_WAIT  CLOSE       -
LAST_ACK    ignore      -           LAST_ACK    TIME_WAIT   CLOSE       -
TIME_WAIT   SYN_SENT    -           TIME_WAIT   TIME_WAIT   CLOSE       -
CLOSE       SYN_SENT    -           CLOSE       CLOSE       CLOSE       -
SYN_SENT2   SYN_SENT2   SYN_RECV    -           -           CLOSE       -
";
    assert_eq!(printed(Original), expected.split_once('\n').expect("a head").1);
}

#[test]
fn the_table_of_the_reply_direction() {
    let expected = "\
            SYN         SYN-ACK     FIN         ACK         RST         none
NONE        -           -           -           -           -           -
SYN_SENT    SYN_SENT2   SYN_RECV    -           ignore      CLOSE       -
SYN_RECV    -           ignore      FIN_WAIT    SYN_RECV    CLOSE       -
ESTABLISHED -           ignore      FIN_WAIT    ESTABLISHED CLOSE       -
FIN_WAIT    -           ignore      LAST_ACK    CLOSE_WAIT  CLOSE       -
CLOSE_WAIT  -           ignore      LAST_ACK    CLOSE_WAIT  CLOSE       -
LAST_ACK    -           ignore      LAST_ACK    TIME_WAIT   CLOSE       -
TIME_WAIT   SYN_SENT    ignore      TIME_WAIT   TIME_WAIT   CLOSE       -
CLOSE       -           ignore      CLOSE       CLOSE       CLOSE       -
SYN_SENT2   SYN_SENT2   SYN_RECV    -           ignore      CLOSE       -
";
    assert_eq!(printed(Reply), expected.split_once('\n').expect("a head").1);
}

#[test]
fn states_are_numbered_as_in_ctnetlink() {
    for (number, state) in STATES.into_iter().enumerate() {
        assert_eq!(state as usize, number);
    }
}

#[test]
fn a_closing_connection_may_be_dropped_early() {
    let closing = STATES.into_iter().filter(|state| state.can_early_drop());
    let names: Vec<_> = closing.map(State::name).collect();
    assert_eq!(names, ["FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"]);
}
