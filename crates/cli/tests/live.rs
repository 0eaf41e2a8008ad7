//! Live traffic through `keepstate run`, set beside the kernel's own filter with the same rules.
//!
//! ```text
//! client 10.7.0.1, fd07::1 -- c0|f0 filter f1|s0 -- server 10.7.0.2, fd07::2
//! ```
//!
//! The filter is once keepstate, a bump in the wire, and once the kernel, a router that answers for
//! either side's neighbours. What real programs see must be the same: data, refusal, silence.
//! The namespaces have no names and go with the processes that hold them.

mod namespaces;

use namespaces::{Namespace, Service};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const RULES: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -i f0 -p tcp -m multiport --dports 21,80 -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -i f0 -p PING -j ACCEPT
-A FORWARD -i f0 -p tcp -m tcp --dport 81 -j REJECT --reject-with tcp-reset
-A FORWARD -i f0 -p tcp -m tcp --dport 82 -j REJECT --reject-with PORT-UNREACHABLE
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

/// What a client does, and the exit status and output that the rules leave it.
struct Scenario {
    name: &'static str,
    command: &'static [&'static str],
    status: i32,
    output: &'static str,
}

const HELLO: &str = "hello from the server\n";

/// curl's statuses: 0 done, 7 refused, 28 timed out.
const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ping",
        command: &["ping", "-q", "-c", "1", "-W", "2", "10.7.0.2"],
        status: 0,
        output: "",
    },
    Scenario {
        name: "ping over IPv6",
        command: &["ping", "-q", "-c", "1", "-W", "2", "fd07::2"],
        status: 0,
        output: "",
    },
    Scenario {
        name: "web",
        command: &["curl", "-s", "-m", "5", "http://10.7.0.2/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "web over IPv6",
        command: &["curl", "-s", "-m", "5", "http://[fd07::2]/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "a long download, segmented by nobody on the way",
        command: &["sh", "-c", "curl -s -m 20 http://10.7.0.2/long | md5sum | cut -c1-32"],
        status: 0,
        output: "",
    },
    Scenario {
        name: "FTP, PASV",
        command: &["curl", "-s", "-m", "5", "--disable-epsv", "ftp://10.7.0.2/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "FTP, EPSV",
        command: &["curl", "-s", "-m", "5", "ftp://10.7.0.2/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "FTP, PORT",
        command: &[
            "curl",
            "-s",
            "-m",
            "5",
            "--disable-eprt",
            "--ftp-port",
            "-",
            "ftp://10.7.0.2/hello",
        ],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "FTP, EPRT",
        command: &["curl", "-s", "-m", "5", "--ftp-port", "-", "ftp://10.7.0.2/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "FTP over IPv6, passive",
        command: &["curl", "-s", "-m", "5", "ftp://[fd07::2]/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "FTP over IPv6, active",
        command: &["curl", "-s", "-m", "5", "--ftp-port", "-", "ftp://[fd07::2]/hello"],
        status: 0,
        output: HELLO,
    },
    Scenario {
        name: "a port rejected with a reset",
        command: &["curl", "-s", "-m", "2", "http://10.7.0.2:81/"],
        status: 7,
        output: "",
    },
    Scenario {
        name: "a port rejected with an ICMP error",
        command: &["curl", "-s", "-m", "2", "http://10.7.0.2:82/"],
        status: 7,
        output: "",
    },
    Scenario {
        name: "a port rejected with a reset, over IPv6",
        command: &["curl", "-s", "-m", "2", "http://[fd07::2]:81/"],
        status: 7,
        output: "",
    },
    Scenario {
        name: "a port rejected with an ICMPv6 error",
        command: &["curl", "-s", "-m", "2", "http://[fd07::2]:82/"],
        status: 7,
        output: "",
    },
    Scenario {
        name: "a port that the policy drops",
        command: &["curl", "-s", "-m", "1", "http://10.7.0.2:83/"],
        status: 28,
        output: "",
    },
    Scenario {
        name: "a port that the policy drops, over IPv6",
        command: &["curl", "-s", "-m", "1", "http://[fd07::2]:83/"],
        status: 28,
        output: "",
    },
];

#[test]
fn real_programs_see_what_they_see_through_the_kernel() {
    if let Some(missing) = missing() {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new();
    let ours = {
        let bed = Bed::new(&folder, Kind::Wire);
        let keepstate = Keepstate::start(&bed.filter, &folder);
        let seen = bed.observe();
        let report = keepstate.stop();
        assert!(report.contains("connections at the end"), "{report}");
        assert!(report.contains(" dport=21 ") && report.contains("helper=ftp"), "{report}");
        assert!(report.contains("6 of them expected"), "{report}");
        seen
    };
    let kernels = Bed::new(&folder, Kind::Kernel).observe();
    for ((scenario, ours), kernels) in SCENARIOS.iter().zip(&ours).zip(&kernels) {
        assert_eq!(ours, kernels, "{}: keepstate, then the kernel", scenario.name);
        assert_eq!(ours.0, Some(scenario.status), "{}", scenario.name);
        if !scenario.output.is_empty() {
            assert_eq!(ours.1, scenario.output, "{}", scenario.name);
        }
    }
}

/// What keeps this test from running.
fn missing() -> Option<String> {
    namespaces::missing(&["curl", "ping", "vsftpd", "python3"])
}

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("keepstate-live-{}", std::process::id()));
        let served = path.join("served");
        std::fs::create_dir_all(&served).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a file");
        write("served/hello", HELLO);
        write("served/long", &"0123456789abcdef".repeat(200_000));
        write("rules.v4", &rules_v4());
        write("rules.v6", &rules_v6());
        write("run.toml", "interfaces = [\"f0\", \"f1\"]\nrules = [\"rules.v4\", \"rules.v6\"]\n");
        let served = served.display();
        write(
            "vsftpd.conf",
            &format!(
                "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\n\
                 anon_root={served}\nsecure_chroot_dir={served}\nno_anon_password=YES\n\
                 connect_from_port_20=YES\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n"
            ),
        );
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wire,
    Kernel,
}

struct Bed {
    client: Namespace,
    filter: Namespace,
    server: Namespace,
    _services: [Service; 2],
}

impl Bed {
    fn new(folder: &Folder, kind: Kind) -> Self {
        let (client, filter, server) = (Namespace::new(), Namespace::new(), Namespace::new());
        filter.run(&format!("ip link add f0 type veth peer name c0 netns {}", client.pid()));
        filter.run(&format!("ip link add f1 type veth peer name s0 netns {}", server.pid()));
        for (end, device, v4, v6) in [
            (&client, "c0", "10.7.0.1/24", "fd07::1/64"),
            (&server, "s0", "10.7.0.2/24", "fd07::2/64"),
        ] {
            end.run("ip link set lo up");
            end.run(&format!("ip addr add {v4} dev {device}"));
            end.run(&format!("ip addr add {v6} dev {device} nodad"));
            end.run(&format!("ip link set {device} up"));
        }
        filter.run("ip link set lo up");
        for device in ["f0", "f1"] {
            filter.run(&format!("ip link set {device} up"));
        }
        if kind == Kind::Kernel {
            router(&filter, folder);
        }
        let web = Service::start(server.command("python3").args([
            "-m",
            "http.server",
            "--bind",
            "::",
            "--directory",
            &folder.join("served").display().to_string(),
            "80",
        ]));
        let ftp = Service::start(server.command("vsftpd").arg(folder.join("vsftpd.conf")));
        for url in ["http://[::1]/hello", "ftp://[::1]/hello"] {
            wait_for(&server, url);
        }
        Self { client, filter, server, _services: [web, ftp] }
    }

    /// What each scenario looks like from the client: status and output.
    fn observe(&self) -> Vec<(Option<i32>, String)> {
        // The first look for a neighbour may take a while; it is no part of any scenario.
        for address in ["10.7.0.2", "fd07::2"] {
            let mut ping = self.client.command("ping");
            let _ = ping.args(["-q", "-c", "5", "-i", "0.2", "-W", "1", address]).output();
        }
        let _ = &self.server;
        SCENARIOS.iter().map(|scenario| self.run(scenario)).collect()
    }

    fn run(&self, scenario: &Scenario) -> (Option<i32>, String) {
        let mut command = self.client.command(scenario.command[0]);
        let Output { status, stdout, .. } =
            command.args(&scenario.command[1..]).output().expect("nsenter");
        // ping's own output has times in it.
        let output = match scenario.command[0] {
            "ping" => String::new(),
            _ => String::from_utf8_lossy(&stdout).into_owned(),
        };
        (status.code(), output)
    }
}

/// Makes the kernel forward between the two sides, with the rules, without either side knowing.
fn router(filter: &Namespace, folder: &Folder) {
    for (device, v4, v6, other6) in
        [("f0", "10.7.0.1", "fd07::1", "fd07::2"), ("f1", "10.7.0.2", "fd07::2", "fd07::1")]
    {
        filter.run(&format!("ip route add {v4}/32 dev {device}"));
        filter.run(&format!("ip route add {v6}/128 dev {device}"));
        filter.run(&format!("ip neigh add proxy {other6} dev {device}"));
        filter.run(&format!("sysctl -qw net.ipv4.conf.{device}.proxy_arp=1"));
        filter.run(&format!("sysctl -qw net.ipv6.conf.{device}.proxy_ndp=1"));
    }
    filter.run("ip addr add 10.7.0.253/32 dev lo");
    filter.run("ip addr add fd07::253/128 dev lo");
    filter.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    for (tool, rules) in [("iptables-restore", "rules.v4"), ("ip6tables-restore", "rules.v6")] {
        let rules = std::fs::File::open(folder.join(rules)).expect("rules");
        let status = filter.command(tool).stdin(rules).status().expect("nsenter");
        assert!(status.success(), "{tool}");
    }
}

fn wait_for(server: &Namespace, url: &str) {
    for _ in 0..50 {
        let curl = server.command("curl").args(["-s", "-m", "1", url]).output().expect("curl");
        if curl.status.success() {
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
    fn start(filter: &Namespace, folder: &Folder) -> Self {
        let mut command = Command::new("nsenter");
        command.args(["-t", &filter.pid(), "-n"]).arg(Path::new(env!("CARGO_BIN_EXE_keepstate")));
        command.args(["run", "--conntrack"]).arg(folder.join("run.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Service(command.spawn().expect("keepstate"));
        let mut stderr = BufReader::new(program.0.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert_eq!(line, "filtering between f0 and f1\n");
        Self { program, stderr }
    }

    /// Asks it to end; what it reports.
    fn stop(mut self) -> String {
        let pid = self.program.0.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status().expect("kill");
        assert!(kill.success());
        let mut report = String::new();
        let stdout = self.program.0.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut report).expect("stdout");
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("stderr");
        assert!(self.program.0.wait().expect("keepstate").success(), "{rest}");
        assert_eq!(rest, "", "no frame was lost");
        report
    }
}
