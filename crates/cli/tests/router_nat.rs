//! Address translation by `keepstate run` as a router, set beside the kernel in its place with the same
//! rules: FTP and TFTP with their helpers, a port forward with hairpin, traceroute and path MTU
//! discovery through a masquerading gateway. What real programs see at either end must be the same.

mod namespaces;
mod router_bed;

use namespaces::{Service, found};
use router_bed::{At, Bed, Folder, HOST, Keepstate, Scenario, at};

/// r1 leads outside. What goes there is masqueraded, UDP to port 9000 comes from an address that nobody
/// has. The router's outside addresses have a web server and an FTP server in the DMZ behind them, for
/// the client too, and at port 8080 a web server at the client itself.
const RULES: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp
-A PREROUTING -p udp -m udp --dport 69 -j CT --helper tftp
-A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d OUTSIDE -p tcp -m tcp --dport 80 -j DNAT --to-destination DMZ-80
-A PREROUTING -d OUTSIDE -p tcp -m tcp --dport 21 -j DNAT --to-destination DMZ-21
-A PREROUTING -d OUTSIDE -p tcp -m tcp --dport 8080 -j DNAT --to-destination CLIENT-80
-A POSTROUTING -o r1 -p udp -m udp --dport 9000 -j SNAT --to-source SPARE
-A POSTROUTING -o r1 -j MASQUERADE
-A POSTROUTING -o r2 -s INSIDE -j MASQUERADE
-A POSTROUTING -o r0 -s INSIDE -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
-A FORWARD -i r0 -j ACCEPT
COMMIT
";

fn rules_v4() -> String {
    RULES
        .replace("OUTSIDE", "10.7.2.1/32")
        .replace("DMZ-80", "10.7.3.2:81")
        .replace("DMZ-21", "10.7.3.2:21")
        .replace("CLIENT-80", "10.7.1.2:80")
        .replace("SPARE", "10.7.2.50")
        .replace("INSIDE", "10.7.1.0/24")
}

fn rules_v6() -> String {
    RULES
        .replace("OUTSIDE", "fd07:2::1/128")
        .replace("DMZ-80", "[fd07:3::2]:81")
        .replace("DMZ-21", "[fd07:3::2]:21")
        .replace("CLIENT-80", "[fd07:1::2]:80")
        .replace("SPARE", "fd07:2::50")
        .replace("INSIDE", "fd07:1::/64")
}

const SCENARIOS: &[Scenario] = &[
    at(At::Client, "ping", "ping -c 2 -i 0.2 -W 3 10.7.2.2", "icmp_seq=2 ttl=63"),
    at(At::Client, "ping, v6", "ping -c 2 -i 0.2 -W 3 fd07:2::2", "icmp_seq=2 ttl=63"),
    at(At::Client, "ping in pieces", "ping -c 1 -W 3 -s 5000 10.7.2.2", "5008 bytes"),
    at(At::Client, "who is there", "python3 TOOL peer 10.7.2.2 7", "10.7.2.1 same port"),
    at(At::Client, "who is there, v6", "python3 TOOL peer fd07:2::2 7", "fd07:2::1 same port"),
    at(At::Client, "web", "curl -s -m 5 http://10.7.2.2/hello", "hello from the server"),
    at(At::Client, "a download", "curl -s -m 20 http://10.7.2.2/long | md5sum", "-"),
    at(At::Client, "a download, v6", "curl -s -m 20 http://[fd07:2::2]/long | md5sum", "-"),
    at(At::Client, "up a narrow way", "python3 TOOL upload 10.7.3.2 80", "3000000"),
    at(At::Client, "up a narrow way, v6", "python3 TOOL upload fd07:3::2 80", "3000000"),
    at(At::Client, "UDP from elsewhere", "python3 TOOL udp 10.7.2.2 9000", "5000 True"),
    at(At::Client, "UDP from elsewhere, v6", "python3 TOOL udp fd07:2::2 9000", "5000 True"),
    at(
        At::Client,
        "the way",
        "python3 TOOL trace 10.7.2.2 33434",
        "1 11 0 10.7.1.1\n2 3 3 10.7.2.2",
    ),
    at(At::Client, "the way, v6", "python3 TOOL trace fd07:2::2 33434", "1 3 0 fd07:1::1\n2 1 4"),
    at(At::Client, "no hop left", "ping -c 1 -W 3 -t 1 10.7.2.2", "Time to live exceeded"),
    at(At::Client, "too big", "ping -c 1 -W 3 -M do -s 1400 10.7.3.2", "mtu = 1300"),
    at(At::Client, "nobody there", "ping -c 1 -W 5 10.7.2.77", "From 10.7.2.1 icmp_seq=1 Dest"),
    at(At::Client, "nobody there, v6", "ping -c 1 -W 5 fd07:2::77", "Address unreachable"),
    at(At::Client, "FTP, PASV", "curl -s -m 5 --disable-epsv ftp://10.7.2.2/hello", "hello"),
    at(At::Client, "FTP, EPSV", "curl -s -m 5 ftp://10.7.2.2/hello", "hello"),
    at(At::Client, "FTP, PORT", "curl -s -m 5 --disable-eprt -P - ftp://10.7.2.2/hello", "hello"),
    at(At::Client, "FTP, EPRT", "curl -s -m 5 -P - ftp://10.7.2.2/hello", "hello"),
    at(At::Client, "FTP, passive, v6", "curl -s -m 5 ftp://[fd07:2::2]/hello", "hello"),
    at(At::Client, "FTP, active, v6", "curl -s -m 5 -P - ftp://[fd07:2::2]/hello", "hello"),
    at(At::Client, "TFTP", "python3 TOOL tftp 10.7.2.2 69", "10.7.2.2 1500 True"),
    at(At::Client, "TFTP, v6", "python3 TOOL tftp fd07:2::2 69", "fd07:2::2 1500 True"),
    at(At::Client, "a SIP call", "python3 TOOL call 10.7.2.2 5060 10.7.1.2", "call 0 media True"),
    at(At::Server, "a port forward", "python3 TOOL peer 10.7.2.1 80", "10.7.2.2 same port"),
    at(At::Server, "a port forward, v6", "python3 TOOL peer fd07:2::1 80", "fd07:2::2 same port"),
    at(At::Client, "the same from inside", "python3 TOOL peer 10.7.2.1 80", "10.7.3.1 same port"),
    at(At::Client, "hairpin", "python3 TOOL peer 10.7.2.1 8080", "10.7.1.1 same port"),
    at(At::Client, "hairpin, v6", "python3 TOOL peer fd07:2::1 8080", "fd07:1::1 same port"),
    at(At::Server, "to the client", "python3 TOOL peer 10.7.2.1 8080", "10.7.2.2 same port"),
    at(
        At::Server,
        "FTP inside, PASV",
        "curl -s -m 5 --no-ftp-skip-pasv-ip --disable-epsv ftp://10.7.2.1/hello",
        "hello",
    ),
    at(At::Server, "FTP inside, EPSV", "curl -s -m 5 ftp://10.7.2.1/hello", "hello"),
    at(
        At::Server,
        "FTP inside, PORT",
        "curl -s -m 5 --disable-eprt -P - ftp://10.7.2.1/hello",
        "hello",
    ),
    at(At::Server, "FTP inside, v6", "curl -s -m 5 ftp://[fd07:2::1]/hello", "hello"),
    at(At::Server, "FTP inside, active, v6", "curl -s -m 5 -P - ftp://[fd07:2::1]/hello", "hello"),
];

#[test]
fn real_programs_behind_a_gateway_see_what_they_see_behind_the_kernel() {
    if let Some(missing) =
        namespaces::missing(&["curl", "ping", "python3", "md5sum", "vsftpd", "sipp"])
    {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new("nat", [&rules_v4(), &rules_v6()]);
    let proxy = "name = \"r1\"\nproxy = [\"10.7.2.50\", \"fd07:2::50\"]";
    std::fs::write(folder.join("host.toml"), HOST.replace("name = \"r1\"", proxy)).expect("a file");
    let ours = {
        let bed = bed(&folder);
        let keepstate = Keepstate::start(&bed.router, &folder);
        let seen = bed.observe(&folder, SCENARIOS);
        keepstate.stop();
        seen
    };
    let kernels = {
        let bed = bed(&folder);
        bed.kernel_routes(&folder);
        bed.router.run("ip addr add 10.7.2.50/32 dev r1");
        bed.router.run("ip addr add fd07:2::50/128 dev r1 nodad preferred_lft 0");
        bed.observe(&folder, SCENARIOS)
    };
    for ((scenario, ours), kernels) in SCENARIOS.iter().zip(&ours).zip(&kernels) {
        assert_eq!(ours, kernels, "{}: keepstate, then the kernel", scenario.name);
        assert!(ours.contains(scenario.prints), "{}: {ours}", scenario.name);
    }
}

/// The bed with FTP at the server and in the DMZ, TFTP, and those who tell who is there.
fn bed(folder: &Folder) -> Bed {
    let mut bed = Bed::new(folder);
    for (end, words) in [
        (At::Server, "serve-peer :: 7"),
        (At::Dmz, "serve-peer :: 81"),
        (At::Client, "serve-peer :: 80"),
        (At::Server, "serve-tftp 10.7.2.2 69"),
        (At::Server, "serve-tftp fd07:2::2 69"),
        (At::Server, "serve-call 10.7.2.2 5060"),
    ] {
        bed.serve(end, folder, words);
    }
    let served = folder.join("served").display().to_string();
    let conf = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nanon_root={served}\n\
         secure_chroot_dir={served}\nno_anon_password=YES\nconnect_from_port_20=YES\n\
         seccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n"
    );
    std::fs::write(folder.join("vsftpd.conf"), conf).expect("a file");
    assert!(found("vsftpd").is_some());
    for end in [At::Server, At::Dmz] {
        let mut command = bed.at(end).command("vsftpd");
        bed.keep(Service::start(command.arg(folder.join("vsftpd.conf"))));
    }
    for (end, port) in [(At::Server, 7), (At::Dmz, 81), (At::Client, 80)] {
        bed.wait_for(end, port);
    }
    bed.wait_for(At::Server, 21);
    bed.wait_for(At::Dmz, 21);
    bed
}
