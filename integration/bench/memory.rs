//! Resident memory with few and with many keys of 1 KiB.

use crate::support::{app::App, patience::eventually, store::Store};

/// How many keys go into one transaction: etcd and Consul take 128.
const AT_ONCE: usize = 100;

pub fn heading() {
    println!("\nresident memory in MiB, idle, keys of 1 KiB, a template that reads one\n");
    println!("{:<10} {:>8} {:>10}", "store", "keys", "resident");
}

pub async fn measure(name: &str, mut store: impl Store, keys: usize) {
    let value = vec![b'x'; 1024];
    let names: Vec<String> = (0..keys).map(|key| format!("k/{key:05}")).collect();
    for names in names.chunks(AT_ONCE) {
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_slice())).collect();
        store.transaction(&entries).await;
    }
    let mut app = App::new();
    app.configure(format!(
        "sources: {{ app: {} }}\n\
         templates: [{{ inline: \"{{{{ app.k['00000'] }}}}\", to: n }}]\nsettle: off\n",
        store.source()
    ));
    app.quiet().start().ready().answers("/freshz", 200);
    let resident = eventually("the resident size is known", || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", app.process().pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    });
    println!("{name:<10} {keys:>8} {:>10.1}", resident / 1024.0);
}
