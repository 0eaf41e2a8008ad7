use super::*;

#[derive(Default)]
struct Recorded {
    sysctls: Vec<(String, String)>,
    loaded: usize,
    slept: Duration,
    counters: Vec<Counter>,
}

impl World for Recorded {
    fn connections(&mut self) -> Result<Vec<Snapshot>, String> {
        Ok(Vec::new())
    }
    fn events(&mut self) -> Vec<String> {
        vec!["    [NEW] tcp 6 120 SYN_SENT src=10.0.0.1".to_owned()]
    }
    fn counters(&mut self) -> Result<Vec<Counter>, String> {
        Ok(self.counters.clone())
    }
    fn load_rules(&mut self, _: &str) -> Result<(), String> {
        self.loaded += 1;
        Ok(())
    }
    fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.sysctls.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
    fn delete(&mut self, _: &Snapshot) -> Result<(), String> {
        Ok(())
    }
    fn pause(&mut self, duration: Duration) {
        self.slept += duration;
    }
}

fn status(world: &mut Recorded, text: &str) -> Result<bool, String> {
    Shell::new(Family::V4).run(world, text)
}

#[test]
fn words_are_read_as_a_shell_reads_them() {
    let words = |text: &str| match &pipelines(&tokens(text))[0].0[..] {
        [.., last] => last.words.clone(),
        [] => Vec::new(),
    };
    assert_eq!(words("a | grep -q CLOSE\\ "), ["grep", "-q", "CLOSE "]);
    assert_eq!(words("conntrack -L 2>/dev/null |grep \"-c 0 0\""), ["grep", "-c 0 0"]);
    assert_eq!(words("x >/dev/null 2>&1"), ["x"]);
}

#[test]
fn statuses_follow_from_the_last_command() {
    let mut world = Recorded::default();
    for (text, good) in [
        ("conntrack -L -p tcp --dport 8080 | grep -q ESTABLISHED", false),
        ("! conntrack -L | grep -q ESTABLISHED", true),
        ("conntrack -E | grep NEW | grep -q SYN_SENT", true),
        ("conntrack -L | wc -l | grep -q 0", true),
        ("true && false", false),
        ("false || true", true),
        ("false; true", true),
        ("conntrack -D -p tcp", false),
        ("packetdrill/common.sh", true),
    ] {
        assert_eq!(status(&mut world, text), Ok(good), "{text}");
    }
    assert!(status(&mut world, "reboot").is_err());
    assert!(status(&mut world, "conntrack -Z").is_err());
}

#[test]
fn settings_go_where_they_belong() {
    let mut world = Recorded::default();
    let text = "sysctl -q net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.tcp_timestamps=1\n\
                echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal; sleep 0.5";
    assert_eq!(status(&mut world, text), Ok(true));
    let names: Vec<&str> = world.sysctls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["nf_conntrack_tcp_loose", "nf_conntrack_tcp_be_liberal"]);
    assert_eq!(world.slept, Duration::from_millis(500));
}

#[test]
fn counters_are_those_of_the_rule() {
    let mut shell = Shell::new(Family::V6);
    let mut world = Recorded::default();
    let add = "$xtables -A INPUT -p tcp -m conntrack --ctstate INVALID -j DROP";
    assert_eq!(shell.run(&mut world, add), Ok(true));
    world.counters = vec![("filter FORWARD 1".to_owned(), (4, 160))];
    let list = "$xtables -v -S INPUT | grep INVALID | grep -q --";
    assert_eq!(shell.run(&mut world, &format!("{list} \"-c 4 \"")), Ok(true));
    assert_eq!(shell.run(&mut world, &format!("{list} \"-c 0 0\"")), Ok(false));
}
