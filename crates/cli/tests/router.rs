//! Live traffic through `keepstate run` as a router, set beside the kernel in its place with the same
//! rules: what real programs see at either end must be the same.

mod namespaces;
mod router_bed;

use router_bed::{At, Bed, Folder, HOST, Keepstate, Scenario, at, run_at};

const RULES: &str = "\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i r2 -p PING -j DROP
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -i r0 -p PING -j ACCEPT
-A FORWARD -i r0 -p udp -j ACCEPT
-A FORWARD -i r0 -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -i r0 -p tcp -m tcp --dport 81 -j REJECT --reject-with tcp-reset
-A FORWARD -i r0 -p tcp -m tcp --dport 82 -j REJECT --reject-with PORT-UNREACHABLE
-A FORWARD -i r1 -o r2 -p PING -j ACCEPT
COMMIT
";

fn rules_v4() -> String {
    RULES
        .replace("PING", "icmp -m icmp --icmp-type 8")
        .replace("PORT-UNREACHABLE", "icmp-port-unreachable")
}

fn rules_v6() -> String {
    RULES
        .replace("PING", "ipv6-icmp -m icmp6 --icmpv6-type 128")
        .replace("PORT-UNREACHABLE", "icmp6-port-unreachable")
}

const SCENARIOS: &[Scenario] = &[
    at(At::Client, "the router", "ping -c 1 -W 3 10.7.1.1", "from 10.7.1.1: icmp_seq=1 ttl=64"),
    at(At::Client, "its far address", "ping -c 1 -W 3 10.7.2.1", "from 10.7.2.1: icmp_seq=1"),
    at(At::Client, "the router, v6", "ping -c 1 -W 3 fd07:1::1", "from fd07:1::1: icmp_seq=1"),
    at(At::Client, "its far address, v6", "ping -c 1 -W 3 fd07:2::1", "from fd07:2::1"),
    at(At::Client, "the router, long", "ping -c 1 -W 3 -s 4000 10.7.1.1", "4008 bytes from"),
    at(At::Client, "the router, long, v6", "ping -c 1 -W 3 -s 4000 fd07:1::1", "4008 bytes"),
    at(At::Client, "the server", "ping -c 3 -i 0.2 -W 3 10.7.2.2", "icmp_seq=3 ttl=63"),
    at(At::Client, "the server, v6", "ping -c 3 -i 0.2 -W 3 fd07:2::2", "icmp_seq=3 ttl=63"),
    at(At::Client, "behind a gateway", "ping -c 1 -W 3 10.7.9.1", "from 10.7.9.1: icmp_seq=1"),
    at(At::Client, "a third link", "ping -c 1 -W 3 10.7.3.2", "from 10.7.3.2: icmp_seq=1"),
    at(At::Server, "between the others", "ping -c 1 -W 3 10.7.3.2", "from 10.7.3.2"),
    at(At::Server, "what no rule lets in", "ping -c 1 -W 1 10.7.1.2", "100% packet loss"),
    at(At::Dmz, "what INPUT drops", "ping -c 1 -W 1 10.7.3.1", "100% packet loss"),
    at(At::Dmz, "what INPUT drops, v6", "ping -c 1 -W 1 fd07:3::1", "100% packet loss"),
    at(At::Client, "no route", "ping -c 1 -W 3 192.0.2.1", "Destination Net Unreachable"),
    at(At::Client, "no route, v6", "ping -c 1 -W 3 2001:db8::1", "No route"),
    at(At::Client, "nobody there", "ping -c 1 -W 5 10.7.2.77", "From 10.7.1.1 icmp_seq=1 Dest"),
    at(At::Client, "nobody there, v6", "ping -c 1 -W 5 fd07:2::77", "Address unreachable"),
    at(At::Client, "no hop left", "ping -c 1 -W 3 -t 1 10.7.2.2", "Time to live exceeded"),
    at(At::Client, "no hop left, v6", "ping -c 1 -W 3 -t 1 fd07:2::2", "Hop limit"),
    at(At::Client, "too big", "ping -c 1 -W 3 -M do -s 1400 10.7.3.2", "mtu = 1300"),
    at(At::Client, "too big, v6", "ping -c 1 -W 3 -M do -s 1400 fd07:3::2", "mtu=1300"),
    at(At::Client, "cut", "ping -c 1 -W 3 -M dont -s 1400 10.7.3.2", "1408 bytes from"),
    at(At::Client, "in pieces", "ping -c 1 -W 3 -s 5000 fd07:2::2", "5008 bytes from"),
    at(At::Client, "web", "curl -s -m 5 http://10.7.2.2/hello", "hello from the server"),
    at(At::Client, "web, v6", "curl -s -m 5 http://[fd07:2::2]/hello", "hello from the server"),
    at(At::Client, "a download", "curl -s -m 20 http://10.7.2.2/long | md5sum", "-"),
    at(At::Client, "a download, v6", "curl -s -m 20 http://[fd07:2::2]/long | md5sum", "-"),
    at(At::Client, "an upload", "python3 TOOL upload 10.7.2.2 80", ""),
    at(At::Client, "up a narrow way", "python3 TOOL upload 10.7.3.2 80", "3000000"),
    at(At::Client, "up a narrow way, v6", "python3 TOOL upload fd07:3::2 80", "3000000"),
    at(At::Client, "no port of the router", "curl -s -m 2 http://10.7.1.1/; echo $?", "7"),
    at(At::Client, "no port of the router, v6", "curl -s -m 2 http://[fd07:1::1]/; echo $?", "7"),
    at(At::Client, "a reset", "curl -s -m 2 http://10.7.2.2:81/; echo $?", "7"),
    at(At::Client, "an error", "curl -s -m 2 http://10.7.2.2:82/; echo $?", "7"),
    at(At::Client, "an error, v6", "curl -s -m 2 http://[fd07:2::2]:82/; echo $?", "7"),
    at(At::Client, "silence", "curl -s -m 1 http://10.7.2.2:83/; echo $?", "28"),
    at(At::Client, "UDP", "python3 TOOL udp 10.7.2.2 9000", "5000 True"),
    at(At::Client, "UDP, v6", "python3 TOOL udp fd07:2::2 9000", "5000 True"),
    at(
        At::Client,
        "the way",
        "python3 TOOL trace 10.7.2.2 33434",
        "1 11 0 10.7.1.1\n2 3 3 10.7.2.2",
    ),
    at(At::Client, "the way, v6", "python3 TOOL trace fd07:2::2 33434", "1 3 0 fd07:1::1\n2 1 4"),
];

#[test]
fn real_programs_see_what_they_see_through_the_kernel() {
    if let Some(missing) = namespaces::missing(&["curl", "ping", "python3", "md5sum"]) {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new("same", [&rules_v4(), &rules_v6()]);
    let ours = {
        let bed = Bed::new(&folder);
        let keepstate = Keepstate::start(&bed.router, &folder);
        let seen = bed.observe(&folder, SCENARIOS);
        let (report, rest) = keepstate.stop();
        assert!(report.contains("connections at the end"), "{report}");
        assert!(rest.contains(" 2 did not answer"), "{rest}");
        seen
    };
    let kernels = {
        let bed = Bed::new(&folder);
        bed.kernel_routes(&folder);
        bed.observe(&folder, SCENARIOS)
    };
    for ((scenario, ours), kernels) in SCENARIOS.iter().zip(&ours).zip(&kernels) {
        assert_eq!(ours, kernels, "{}: keepstate, then the kernel", scenario.name);
        assert!(ours.contains(scenario.prints), "{}: {ours}", scenario.name);
    }
}

#[test]
fn a_kernel_is_on_the_link_of_a_tap_device() {
    if let Some(missing) = namespaces::missing(&["curl", "ping", "python3"]) {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new("tap", [&rules_v4(), &rules_v6()]);
    let bed = Bed::new(&folder);
    let host = HOST.replace("name = \"r0\"", "name = \"r9\"\ntap = true");
    std::fs::write(folder.join("host.toml"), host).expect("a file");
    std::fs::write(folder.join("run.toml"), "host = \"host.toml\"\n").expect("a file");
    let keepstate = Keepstate::start(&bed.router, &folder);
    // The device's other end goes to the client, as it would to a virtual machine.
    bed.client.run("ip link del c0");
    bed.router.run(&format!("ip link set r9 netns {}", bed.client.pid()));
    bed.client.run("ip addr add 10.7.1.2/24 dev r9");
    bed.client.run("ip addr add fd07:1::2/64 dev r9 nodad");
    bed.client.run("ip link set r9 up");
    bed.client.run("ip route add default via 10.7.1.1");
    bed.client.run("ip -6 route add default via fd07:1::1");
    let long = "0123456789abcdef".repeat(200_000);
    for (command, prints) in [
        ("ping -c 1 -W 3 10.7.1.1", "from 10.7.1.1: icmp_seq=1 ttl=64"),
        ("ping -c 1 -W 3 10.7.2.2", "from 10.7.2.2: icmp_seq=1 ttl=63"),
        ("ping -c 1 -W 3 fd07:2::2", "from fd07:2::2: icmp_seq=1 ttl=63"),
        ("curl -s -m 20 http://10.7.2.2/long", long.as_str()),
        ("curl -s -m 20 http://[fd07:2::2]/long", long.as_str()),
        ("python3 TOOL upload 10.7.3.2 80", "3000000"),
    ] {
        let seen = run_at(&bed.client, command, &folder);
        assert!(seen.contains(prints), "{command}: {} bytes: {seen:.200}", seen.len());
    }
    keepstate.stop();
}

#[test]
fn a_kernel_that_has_the_addresses_answers_for_them() {
    if let Some(missing) = namespaces::missing(&["curl", "ping", "python3"]) {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new("kernel", [&rules_v4(), &rules_v6()]);
    let bed = Bed::new(&folder);
    let host = format!("own_traffic = \"kernel\"\n{HOST}");
    std::fs::write(folder.join("host.toml"), host).expect("a file");
    std::fs::write(folder.join("run.toml"), "host = \"host.toml\"\n").expect("a file");
    bed.give_addresses();
    let keepstate = Keepstate::start(&bed.router, &folder);
    for (command, prints) in [
        ("ping -c 3 -i 0.2 -W 3 10.7.1.1", "3 received"),
        ("ping -c 3 -i 0.2 -W 3 10.7.2.2", "3 received"),
        ("ping -c 3 -i 0.2 -W 3 fd07:1::1", "3 received"),
        ("ping -c 3 -i 0.2 -W 3 fd07:2::2", "3 received"),
        ("curl -s -m 20 http://10.7.2.2/hello", "hello from the server"),
    ] {
        let seen = run_at(&bed.client, command, &folder);
        assert!(seen.contains(prints) && !seen.contains("DUP"), "{command}: {seen}");
    }
    keepstate.stop();
}
