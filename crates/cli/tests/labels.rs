//! Names of labels come from the file that is given, and from nowhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("it is written");
    path
}

fn keepstate(arguments: &[&str], files: &[&Path]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.current_dir(root).args(arguments).args(files).output().expect("keepstate")
}

#[test]
fn rules_name_labels_as_the_file_does() {
    let text = "*filter\n-A FORWARD -m connlabel --label web --set -j ACCEPT\nCOMMIT\n";
    let rules = file("labels.rules", text);
    let conf = file("connlabel.conf", "# names\n3 web\n");
    let conf = ["--connlabel-conf", conf.to_str().expect("text")];
    assert_eq!(keepstate(&["check"], &[&rules]).status.code(), Some(1));
    let [option, path] = conf;
    assert_eq!(keepstate(&["check", option, path], &[&rules]).status.code(), Some(0));
    let missing = keepstate(&["check", option, "no-such-file"], &[&rules]);
    assert_eq!(missing.status.code(), Some(2));
    let capture = Path::new("examples/captures/ftp.pcap");
    let replay = ["replay", "-q", "--events", option, path, "--rules"];
    let output = keepstate(&replay, &[&rules, capture]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let unnamed = keepstate(&["replay", "-q", "--rules"], &[&rules, capture]);
    let text = String::from_utf8_lossy(&unnamed.stderr);
    assert!(text.contains("no label is called `web`"), "{text}");
    assert!(text.contains("--connlabel-conf"), "{text}");
}
