//! Live traffic through `keepstate run` as a router, set beside the kernel in its place with the same
//! rules: what real programs see at either end must be the same.
//!
//! ```text
//! client .2 -- 10.7.1.0/24, fd07:1::/64 -- .1 r0 \
//! server .2 -- 10.7.2.0/24, fd07:2::/64 -- .1 r1  router
//! dmz    .2 -- 10.7.3.0/24, fd07:3::/64 -- .1 r2 /  MTU 1300
//! behind the server: 10.7.9.0/24
//! ```

mod namespaces;

use namespaces::{Namespace, Service};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// A program of ours and its two other faces: UDP with answers, the way of a packet hop by hop, a
/// server that counts what it is sent.
const TOOL: &str = r#"
import socket, sys, struct
what, host = sys.argv[1], sys.argv[2]
port = int(sys.argv[3])
family = socket.AF_INET6 if ':' in host else socket.AF_INET
if what == 'serve-udp':
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((host, port))
    while True:
        data, peer = one.recvfrom(65535)
        one.sendto(data[::-1], peer)
elif what == 'serve-sink':
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(5)
    while True:
        peer, _ = one.accept()
        total = 0
        while data := peer.recv(65536):
            total += len(data)
        peer.sendall(b'%d' % total)
        peer.close()
elif what == 'udp':
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.settimeout(3)
    for size in (1, 1400, 5000):
        data = bytes(i % 251 for i in range(size))
        one.sendto(data, (host, port))
        print(size, one.recv(65535) == data[::-1])
elif what == 'upload':
    one = socket.create_connection((host, port), timeout=10)
    one.sendall(b'x' * 3000000)
    one.shutdown(socket.SHUT_WR)
    print(one.recv(100).decode())
elif what == 'trace':
    six = family == socket.AF_INET6
    level, hops, errors = (41, 16, 25) if six else (0, 2, 11)
    for ttl in range(1, 5):
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.setsockopt(level, hops, ttl)
        one.setsockopt(level, errors, 1)
        one.settimeout(3)
        one.sendto(b'where', (host, port + ttl))
        try:
            try:
                one.recv(10)
            except OSError:
                pass
            _, control, _, _ = one.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            for _, _, data in control:
                if len(data) < 16 + (28 if six else 16):
                    continue
                _, _, kind, code, _, _, _ = struct.unpack('=IBBBBII', data[:16])
                at = data[16 + 8:16 + 24] if six else data[16 + 4:16 + 8]
                print(ttl, kind, code, socket.inet_ntop(family, at))
        except OSError as error:
            print(ttl, error)
"#;

/// What a program does somewhere.
struct Scenario {
    name: &'static str,
    at: At,
    command: &'static str,
    /// A piece of what it prints.
    prints: &'static str,
}

#[derive(Clone, Copy)]
enum At {
    Client,
    Server,
    Dmz,
}

const fn at(at: At, name: &'static str, command: &'static str, prints: &'static str) -> Scenario {
    Scenario { name, at, command, prints }
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
    let folder = Folder::new("same");
    let ours = {
        let bed = Bed::new(&folder);
        let keepstate = Keepstate::start(&bed.router, &folder);
        let seen = bed.observe(&folder);
        let (report, rest) = keepstate.stop();
        assert!(report.contains("connections at the end"), "{report}");
        assert!(rest.contains(" 2 did not answer"), "{rest}");
        seen
    };
    let kernels = {
        let bed = Bed::new(&folder);
        bed.kernel_routes(&folder);
        bed.observe(&folder)
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
    let folder = Folder::new("tap");
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
    let folder = Folder::new("kernel");
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

/// Runs a command, and gives what it prints, without what differs from one run to the next.
fn run_at(namespace: &Namespace, command: &str, folder: &Folder) -> String {
    let command = command.replace("TOOL", &folder.join("tool.py").display().to_string());
    let output = namespace.command("sh").args(["-c", &command]).output().expect("nsenter");
    let mut seen = String::from_utf8_lossy(&output.stdout).into_owned();
    seen.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines = seen.lines().map(|line| match line.split_once(" time=") {
        Some((line, _)) => line,
        None => line.split_once(", time ").map_or(line, |(line, _)| line),
    });
    let lines = lines.filter(|line| !line.starts_with("rtt "));
    lines.collect::<Vec<_>>().join("\n")
}

const HOST: &str = r#"
[[interface]]
name = "r0"
addresses = ["10.7.1.1/24", "fd07:1::1/64"]
[[interface]]
name = "r1"
addresses = ["10.7.2.1/24", "fd07:2::1/64"]
[[interface]]
name = "r2"
addresses = ["10.7.3.1/24", "fd07:3::1/64"]
[[route]]
to = "10.7.9.0/24"
via = "10.7.2.2"
interface = "r1"
"#;

/// A folder of a test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keepstate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("served")).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a file");
        write("served/hello", "hello from the server\n");
        write("served/long", &"0123456789abcdef".repeat(200_000));
        write("rules.v4", &rules_v4());
        write("rules.v6", &rules_v6());
        write("host.toml", HOST);
        write("run.toml", "host = \"host.toml\"\nrules = [\"rules.v4\", \"rules.v6\"]\n");
        write("tool.py", TOOL);
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Bed {
    client: Namespace,
    server: Namespace,
    dmz: Namespace,
    router: Namespace,
    _services: Vec<Service>,
}

impl Bed {
    fn new(folder: &Folder) -> Self {
        let router = Namespace::new();
        let ends = [("c0", "r0", 1), ("s0", "r1", 2), ("d0", "r2", 3)];
        let [client, server, dmz] = ends.map(|(end, port, net)| {
            let station = Namespace::new();
            router.run(&format!(
                "ip link add {port} type veth peer name {end} netns {}",
                station.pid()
            ));
            router.run(&format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=1"));
            router.run(&format!("ip link set {port} up"));
            station.run("ip link set lo up");
            station.run(&format!("ip addr add 10.7.{net}.2/24 dev {end}"));
            station.run(&format!("ip addr add fd07:{net}::2/64 dev {end} nodad"));
            station.run(&format!("ip link set {end} up"));
            station.run(&format!("ip route add default via 10.7.{net}.1"));
            station.run(&format!("ip -6 route add default via fd07:{net}::1"));
            station
        });
        router.run("ip link set lo up");
        router.run("ip link set r2 mtu 1300");
        dmz.run("ip link set d0 mtu 1300");
        // Its peers are not told of the narrow link when they connect: they have to find out.
        dmz.run("ip route change default via 10.7.3.1 advmss 1460");
        dmz.run("ip -6 route change default via fd07:3::1 advmss 1440");
        server.run("ip addr add 10.7.9.1/24 dev lo");
        let mut services = Vec::new();
        let served = folder.join("served").display().to_string();
        let web = ["-m", "http.server", "--bind", "::", "--directory", &served, "80"];
        services.push(Service::start(server.command("python3").args(web)));
        let tool = folder.join("tool.py").display().to_string();
        for (at, words) in [
            (&server, ["serve-udp", "10.7.2.2", "9000"]),
            (&server, ["serve-udp", "fd07:2::2", "9000"]),
            (&dmz, ["serve-sink", "::", "80"]),
        ] {
            services.push(Service::start(at.command("python3").arg(&tool).args(words)));
        }
        for (at, url) in [(&server, "http://[::1]/hello"), (&dmz, "http://[::1]/")] {
            wait_for(at, url);
        }
        Self { client, server, dmz, router, _services: services }
    }

    fn give_addresses(&self) {
        for (port, net) in [("r0", 1), ("r1", 2), ("r2", 3)] {
            self.router.run(&format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=0"));
            self.router.run(&format!("ip addr add 10.7.{net}.1/24 dev {port}"));
            self.router.run(&format!("ip addr add fd07:{net}::1/64 dev {port} nodad"));
        }
    }

    /// Has the kernel be the router, with the rules.
    fn kernel_routes(&self, folder: &Folder) {
        self.give_addresses();
        self.router.run("ip route add 10.7.9.0/24 via 10.7.2.2");
        self.router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        self.router.run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
        for (tool, rules) in [("iptables-restore", "rules.v4"), ("ip6tables-restore", "rules.v6")] {
            let rules = std::fs::File::open(folder.join(rules)).expect("rules");
            let status = self.router.command(tool).stdin(rules).status().expect("nsenter");
            assert!(status.success(), "{tool}");
        }
    }

    fn observe(&self, folder: &Folder) -> Vec<String> {
        let at = |at| match at {
            At::Client => &self.client,
            At::Server => &self.server,
            At::Dmz => &self.dmz,
        };
        SCENARIOS.iter().map(|one| run_at(at(one.at), one.command, folder)).collect()
    }
}

/// Until a server takes connections.
fn wait_for(server: &Namespace, url: &str) {
    for _ in 0..100 {
        let curl = server.command("curl").args(["-s", "-m", "0.5", url]).output().expect("curl");
        // 7: nobody listens.
        if curl.status.code() != Some(7) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server does not answer {url}");
}

struct Keepstate {
    program: Service,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Keepstate {
    fn start(router: &Namespace, folder: &Folder) -> Self {
        let mut command = Command::new("nsenter");
        command.args(["-t", &router.pid(), "-n"]).arg(Path::new(env!("CARGO_BIN_EXE_keepstate")));
        command.args(["run", "--conntrack"]).arg(folder.join("run.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Service(command.spawn().expect("keepstate"));
        let mut stderr = BufReader::new(program.0.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert!(line.starts_with("routing between r"), "{line}");
        Self { program, stderr }
    }

    /// Asks it to end; what it reports, and what it says on stderr.
    fn stop(mut self) -> (String, String) {
        let pid = self.program.0.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status().expect("kill");
        assert!(kill.success());
        let mut report = String::new();
        let stdout = self.program.0.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut report).expect("stdout");
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("stderr");
        assert!(self.program.0.wait().expect("keepstate").success(), "{rest}");
        assert!(!rest.contains("warning"), "nothing was lost: {rest}");
        (report, rest)
    }
}
