//! Compiles the shim for the loops that are written in C, with feature `c-peers`.

fn main() {
    println!("cargo:rerun-if-changed=src/peers/shim.c");
    #[cfg(feature = "c-peers")]
    c_peers();
}

#[cfg(feature = "c-peers")]
fn c_peers() {
    let packages =
        ["libuv", "libevent", "libevent_pthreads", "glib-2.0", "libsystemd", "wayland-server"];
    let output = std::process::Command::new("pkg-config")
        .args(["--cflags", "--libs"])
        .args(packages)
        .output()
        .expect("pkg-config runs");
    assert!(
        output.status.success(),
        "feature c-peers needs {}: {}",
        packages.join(", "),
        String::from_utf8_lossy(&output.stderr)
    );
    let flags = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut build = cc::Build::new();
    build.file("src/peers/shim.c").opt_level(3);
    for flag in flags.split_whitespace() {
        if let Some(directory) = flag.strip_prefix("-I") {
            build.include(directory);
        }
    }
    build.compile("shim");
    for flag in flags.split_whitespace() {
        if let Some(library) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        } else if let Some(directory) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search={directory}");
        }
    }
}
