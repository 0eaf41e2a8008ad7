use super::*;

const GOOD: &str = r#"
own_traffic = "drop"

[[interface]]
name = "eth0"
addresses = ["192.0.2.1/24", "2001:db8::1/64"]
hardware = "02:00:00:00:00:01"
proxy = ["192.0.2.64/28"]

[[interface]]
name = "tap0"
mtu = 1400
tap = true
addresses = ["198.51.100.1/24"]

[[route]]
to = "0.0.0.0/0"
via = "198.51.100.254"
interface = "tap0"

[[route]]
to = "::/0"
via = "fe80::9"
interface = "eth0"

[[neighbour]]
address = "198.51.100.254"
hardware = "2:0:0:0:0:fe"
interface = "tap0"
"#;

fn fault(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("taken: {text}"),
        Err(fault) => fault.told(Path::new("f"), text),
    }
}

#[test]
fn a_router_is_described() {
    let Ok(described) = parse(GOOD) else { panic!("{}", fault(GOOD)) };
    let (host, links) = (described.host, described.links);
    let [default, default6] = &host.routes[..] else { panic!("{:?}", host.routes) };
    assert_eq!(default.gateway, Some(Address::v4([198, 51, 100, 254])));
    assert_eq!(default6.interface, InterfaceIndex(0));
    assert_eq!(links.own_traffic, OwnTraffic::Drop);
    assert_eq!(links.devices[0].hardware, Some([2, 0, 0, 0, 0, 1]));
    assert_eq!((links.devices[0].mtu, links.devices[0].is_tap), (None, false));
    assert_eq!((links.devices[1].mtu, links.devices[1].is_tap), (Some(1400), true));
    assert_eq!(links.proxied.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
    let [(key, hardware)] = links.neighbours[..] else { panic!("{:?}", links.neighbours) };
    assert_eq!((key.interface, hardware), (InterfaceIndex(1), [2, 0, 0, 0, 0, 0xfe]));
    assert_eq!(links.obstacle, None);
}

#[test]
fn the_examples_are_read() {
    for text in [
        include_str!("../../../../examples/router-host.toml"),
        include_str!("../../../../examples/gateway.toml"),
    ] {
        let Ok(described) = parse(text) else { panic!("{}", fault(text)) };
        assert_eq!(described.links.obstacle, None);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (from, to, told) in [
        ("\"192.0.2.1/24\"", "\"192.0.2.1/33\"", "f:6:14: /33 is no prefix length up to 32"),
        ("2001:db8::1/64", "2001:db8::g/64", "f:6:30: 2001:db8::g is no address"),
        ("02:00:00:00:00:01", "02:00:00:00:00", "f:7:12: 02:00:00:00:00 is no Ethernet address"),
        (
            "02:00:00:00:00:01",
            "03:00:00:00:00:01",
            "f:7:12: 03:00:00:00:00:01 is not one station's address",
        ),
        ("mtu = 1400", "mtu = 67", "f:12:7: an MTU is at least 68 bytes"),
        ("\"tap0\"\nmtu", "\"eth0\"\nmtu", "f:11:8: there are two interfaces eth0"),
        (
            "\"198.51.100.254\"\ninterface",
            "\"198.51.101.254\"\ninterface",
            "f:18:7: no network of tap0 has the gateway 198.51.101.254",
        ),
        (
            "\"fe80::9\"",
            "\"192.0.2.9\"",
            "f:23:7: the gateway is of another family than the destination",
        ),
        (
            "\"2:0:0:0:0:fe\"\ninterface = \"tap0\"",
            "\"2:0:0:0:0:fe\"\ninterface = \"tap1\"",
            "f:29:13: there is no interface tap1",
        ),
        ("\"drop\"", "\"reply\"", "f:2:15: unknown variant `reply`"),
        ("tap = true", "tun = true", "f:13:1: unknown field `tun`"),
        ("[[neighbour]]", "[[neighbour]", "f:26:13:"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let fault = fault(&text);
        assert!(fault.starts_with(told), "{fault:?} begins with {told:?}");
    }
}

#[test]
fn neighbours_are_counted() {
    const MAX: usize = keepstate_datapath::router::neighbours::NEIGHBOURS_MAX;
    let with = |count: usize| {
        let entry = "[[neighbour]]\naddress = \"192.0.2.7\"\nhardware = \"2:0:0:0:0:1\"\n\
                     interface = \"eth0\"\n";
        GOOD.split("[[neighbour]]").next().unwrap_or("").to_owned() + &entry.repeat(count)
    };
    assert!(parse(&with(MAX)).is_ok());
    assert!(fault(&with(MAX + 1)).contains("more than 8192 neighbours"));
}

#[test]
fn what_no_router_can_be_is_told_when_one_is_wanted() {
    let obstacle = |text: &str| match parse(text) {
        Ok(described) => described.links.obstacle,
        Err(_) => panic!("{}", fault(text)),
    };
    let wire = format!("forwarding = \"wire\"\n{GOOD}");
    assert!(obstacle(&wire).is_some_and(|why| why.contains("forwarding")));
    let bridge = GOOD.replace("tap = true", "bridge_ports = [\"eth0\"]");
    assert!(obstacle(&bridge).is_some_and(|why| why.contains("bridge")));
    assert!(obstacle(&GOOD.replace("tap0", "lo")).is_some());
}
