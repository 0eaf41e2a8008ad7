//! TFTP (RFC 1350): the request goes to port 69, the answer comes from a port of its own.

use super::super::writer::{Writer, datagram};
use super::super::{Conversation, Need, Parties, Script, Service, Upper, Who};

pub(super) const TFTP: Conversation = Conversation {
    code: "tftp",
    title: "A file fetched over TFTP (network boot, telephones, switches)",
    when_broken: "Network boot says \"TFTP timeout\"; telephones do not get their configuration.",
    protocol: Some(Upper::Udp),
    server_port: 69,
    helper: Some("tftp"),
    services: &[Service { protocol: 17, ports: (69, 69) }],
    script: fetch,
    ..super::tcp::SERVICE
};

const LOST: &str = "The server answers from a port of its own, which nothing but the helper knows to belong \
     to the request: the client repeats its request and reports a timeout.";

fn fetch(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let control = (parties.client_port, parties.server_port);
    let request = datagram(control, Who::Client, b"\0\x01pxelinux.0\0octet\0");
    let lost = "The request does not reach the server.";
    let asked = script.step(Who::Client, Who::Server, "read request", request, lost);
    // From here on the server speaks from the port that it has chosen.
    let transfer = (parties.client_port, parties.data_port);
    let mut data = b"\0\x03\0\x01".to_vec();
    data.resize(516, b'b');
    let first = datagram(transfer, Who::Server, &data);
    let label = format!("block 1 from port {}", parties.data_port);
    let first = script.step(Who::Server, Who::Client, &label, first, LOST);
    script.needs(Need::Delivered(asked));
    let taken = datagram(transfer, Who::Client, b"\0\x04\0\x01");
    let taken = script.step(Who::Client, Who::Server, "acknowledgment 1", taken, LOST);
    script.needs(Need::Delivered(first));
    let last = datagram(transfer, Who::Server, b"\0\x03\0\x02the end");
    let last = script.step(Who::Server, Who::Client, "block 2, the last", last, LOST);
    script.needs(Need::Delivered(taken));
    let taken = datagram(transfer, Who::Client, b"\0\x04\0\x02");
    script.step(Who::Client, Who::Server, "acknowledgment 2", taken, LOST);
    script.needs(Need::Delivered(last));
    script.finish()
}
