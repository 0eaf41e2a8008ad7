//! What the tests of the router stand on.
//!
//! ```text
//! client .2 -- 10.7.1.0/24, fd07:1::/64 -- .1 r0 \
//! server .2 -- 10.7.2.0/24, fd07:2::/64 -- .1 r1  router
//! dmz    .2 -- 10.7.3.0/24, fd07:3::/64 -- .1 r2 /  MTU 1300
//! behind the server: 10.7.9.0/24
//! ```
#![allow(dead_code, reason = "not every test uses all of it")]

use super::namespaces::{Namespace, Service};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a program does somewhere.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) at: At,
    pub(crate) command: &'static str,
    /// A piece of what it prints.
    pub(crate) prints: &'static str,
}

/// Where.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Client,
    Server,
    Dmz,
}

pub(crate) const fn at(
    at: At,
    name: &'static str,
    command: &'static str,
    prints: &'static str,
) -> Scenario {
    Scenario { name, at, command, prints }
}

/// Runs a command, and gives what it prints, without what differs from one run to the next.
pub(crate) fn run_at(namespace: &Namespace, command: &str, folder: &Folder) -> String {
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

pub(crate) const HOST: &str = r#"
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
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// With a rule set of each family.
    pub(crate) fn new(name: &str, rules: [&str; 2]) -> Self {
        let path = std::env::temp_dir().join(format!("keepstate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("served")).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a file");
        write("served/hello", "hello from the server\n");
        write("served/long", &"0123456789abcdef".repeat(200_000));
        write("rules.v4", rules[0]);
        write("rules.v6", rules[1]);
        write("host.toml", HOST);
        write("run.toml", "host = \"host.toml\"\nrules = [\"rules.v4\", \"rules.v6\"]\n");
        write("tool.py", include_str!("tool.py"));
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Bed {
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
    pub(crate) dmz: Namespace,
    pub(crate) router: Namespace,
    services: Vec<Service>,
}

impl Bed {
    pub(crate) fn new(folder: &Folder) -> Self {
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
        Self { client, server, dmz, router, services }
    }

    /// Starts a program of ours at an end.
    pub(crate) fn serve(&mut self, at: At, folder: &Folder, words: &str) {
        let mut command = self.at(at).command("python3");
        command.arg(folder.join("tool.py")).args(words.split(' '));
        self.services.push(Service::start(&mut command));
    }

    /// Keeps a program running until the end.
    pub(crate) fn keep(&mut self, service: Service) {
        self.services.push(service);
    }

    /// Until a server takes connections at a port.
    pub(crate) fn wait_for(&self, at: At, port: u16) {
        wait_for(self.at(at), &format!("http://[::1]:{port}/"));
    }

    /// An end.
    pub(crate) fn at(&self, at: At) -> &Namespace {
        match at {
            At::Client => &self.client,
            At::Server => &self.server,
            At::Dmz => &self.dmz,
        }
    }

    /// Gives the router's kernel the addresses.
    pub(crate) fn give_addresses(&self) {
        for (port, net) in [("r0", 1), ("r1", 2), ("r2", 3)] {
            self.router.run(&format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=0"));
            self.router.run(&format!("ip addr add 10.7.{net}.1/24 dev {port}"));
            self.router.run(&format!("ip addr add fd07:{net}::1/64 dev {port} nodad"));
        }
    }

    /// Has the kernel be the router, with the rules.
    pub(crate) fn kernel_routes(&self, folder: &Folder) {
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

    pub(crate) fn observe(&self, folder: &Folder, scenarios: &[Scenario]) -> Vec<String> {
        scenarios.iter().map(|one| run_at(self.at(one.at), one.command, folder)).collect()
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

pub(crate) struct Keepstate {
    program: Service,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Keepstate {
    pub(crate) fn start(router: &Namespace, folder: &Folder) -> Self {
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
    pub(crate) fn stop(mut self) -> (String, String) {
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
