//! Every parameter of the kernel's modules for tracking is known here by its name.

use keepstate_conntrack::{Sysctls, sysctl::SysctlError};
use std::fs;

/// Those that nobody can change while the kernel runs have its defaults, unless it was told others as
/// it started.
#[test]
fn parameters_of_the_kernels_modules_have_their_names_and_defaults() {
    let Ok(modules) = fs::read_dir("/sys/module") else {
        return eprintln!("skipped: no /sys/module");
    };
    let mut seen = 0;
    for module in modules.flatten() {
        let name = module.file_name().to_string_lossy().into_owned();
        let Ok(parameters) = fs::read_dir(module.path().join("parameters")) else { continue };
        if !name.starts_with("nf_conntrack") {
            continue;
        }
        for parameter in parameters.flatten() {
            let Ok(value) = fs::read_to_string(parameter.path()) else { continue };
            let name = format!("{name}.{}", parameter.file_name().to_string_lossy());
            let set = Sysctls::default().set(&name, value.trim_end());
            assert!(matches!(set, Ok(()) | Err(SysctlError::ReadOnly)), "{name}={value}: {set:?}");
            seen += 1;
        }
    }
    eprintln!("{seen} parameters");
}
