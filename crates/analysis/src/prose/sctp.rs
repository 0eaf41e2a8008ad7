//! States of SCTP associations.

/// A state of the SCTP tracker, as `conntrack -L` prints it.
#[must_use]
pub fn state(name: &str) -> Option<&'static str> {
    Some(match name {
        "NONE" => "nothing seen yet",
        "CLOSED" => "an INIT went out and is not answered yet, or the association has ended",
        "COOKIE_WAIT" => "INIT and INIT ACK were seen; COOKIE ECHO is due",
        "COOKIE_ECHOED" => {
            "COOKIE ECHO was seen; COOKIE ACK, which completes the handshake, is due"
        }
        "ESTABLISHED" => {
            "the handshake is complete, or this is a further path of an association, on which a \
             HEARTBEAT was answered"
        }
        "SHUTDOWN_SENT" => "the side that opened has sent SHUTDOWN",
        "SHUTDOWN_RECD" => "the side that was called has sent SHUTDOWN",
        "SHUTDOWN_ACK_SENT" => "SHUTDOWN ACK was seen; SHUTDOWN COMPLETE is due",
        "HEARTBEAT_SENT" => {
            "a HEARTBEAT and no handshake: a further path of an association, whose answer is due"
        }
        _ => return None,
    })
}
