//! Network namespaces for tests with live traffic. They have no names and go with the processes that
//! hold them.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What keeps a test from running that needs namespaces, the kernel's filter and these programs.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout != b"0\n" {
        return Some("needs root for network namespaces".to_owned());
    }
    let usual = ["ip", "unshare", "nsenter", "sysctl", "iptables-restore", "ip6tables-restore"];
    if let Some(tool) = usual.iter().chain(programs).find(|tool| found(tool).is_none()) {
        return Some(format!("needs {tool}"));
    }
    let unshared = Command::new("unshare").args(["-n", "true"]).status();
    (!unshared.is_ok_and(|status| status.success())).then(|| "cannot make namespaces".to_owned())
}

pub(crate) fn found(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.into_iter().map(|place| place.join(tool)).find(|file| file.is_file())
}

/// A network namespace: there as long as its process.
pub(crate) struct Namespace(Child);

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", "echo; exec sleep 400"]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("unshare");
        // The line says that the namespace is there.
        let mut line = [0];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut line).expect("a line");
        Self(child)
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid(), "-n"]).arg(found(program).expect("looked for before"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs what must succeed.
    pub(crate) fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let output = self.command(words.next().expect("a program")).args(words).output();
        let output = output.expect("nsenter");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that runs until it is dropped.
pub(crate) struct Service(pub(crate) Child);

impl Service {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
