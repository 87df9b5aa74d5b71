//! Models of the sites' own: over the network as in the simulator.

use std::collections::BTreeMap;
use std::path::Path;

use crate::rig::{Keys, Running, digits_plan, path, value, works};

/// The metrics of the last model at each site.
fn of_sites(run: &Path) -> BTreeMap<String, serde_json::Value> {
    let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_sites = events.filter(|event| event["event"] == "site_evaluated");
    of_sites.map(|event| (event["site"].as_str().unwrap().to_owned(), event["metrics"].clone())).collect()
}

#[test]
fn a_networked_run_ends_with_the_personal_models_of_the_simulated_one() {
    const SITES: [&str; 2] = ["site-0", "site-1"];
    for personal in ["[personal.fedrep]\nhead_epochs = 1\n", "[personal.fedpac]\n", "[personal.apfl]\nadapt = true\n"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let keys = Keys::new(&root.join("keys"), &SITES);
        let plan = digits_plan(root, 2, &format!("[round]\narrival.count.min = 2\n{personal}"));
        let simulated = works(&["simulate", path(&plan), "--out", path(&root.join("sim")), "--quiet"]);
        let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
        let clients = SITES.map(|site| Running::client(&address, &keys.of(site)));
        for client in clients {
            let (code, _, stderr) = client.end();
            assert_eq!(code, Some(0), "{stderr}");
        }
        let (code, lines, stderr) = coordinator.end();
        assert_eq!(code, Some(0), "{stderr}");
        let hash = value(&simulated, "model hash");
        assert!(lines.iter().any(|l| l.contains("run_finished") && l.contains(hash)), "{hash}: {lines:?}");
        let (net, sim) = (of_sites(&root.join("net")), of_sites(&root.join("sim")));
        assert_eq!(net.len(), 2, "{net:?}");
        assert_eq!(net, sim, "{personal}");
    }
}
