//! Who reaches whom: the policies of each overlay, worked out for its pods.
//!
//! A flow inside needs a policy at both ends; one with the outside needs one at the pod.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rendered::{CLOUDS, OVERLAYS, Rendered, list, overlay, text, with_options};

/// One pod of the overlay.
struct Pod<'a> {
    name: String,
    template: &'a Value,
}

impl Pod<'_> {
    fn labels(&self) -> &Value {
        &self.template["metadata"]["labels"]
    }

    /// The number of a port, which may be given by name.
    fn port(&self, port: &Value) -> Option<u64> {
        if let Some(number) = port.as_u64() {
            return Some(number);
        }
        let containers = list(&self.template["spec"]["containers"]);
        let mut ports = containers.iter().flat_map(|one| list(&one["ports"]));
        let named = ports.find(|one| one["name"] == *port)?;
        named["containerPort"].as_u64()
    }
}

fn pods(rendered: &Rendered) -> Vec<Pod<'_>> {
    rendered
        .of_kind("Deployment")
        .into_iter()
        .map(|(name, object)| Pod {
            name: name.trim_start_matches("rewind-").to_owned(),
            template: &object["spec"]["template"],
        })
        .collect()
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().is_none_or(|wanted| {
        let mut wanted = wanted.iter();
        wanted.all(|(key, value)| labels[key] == *value)
    });
    let mut expressions = list(&selector["matchExpressions"]).iter();
    equal
        && expressions.all(|expression| {
            let value = &labels[text(&expression["key"])];
            let among = list(&expression["values"]).contains(value);
            match text(&expression["operator"]) {
                "In" => among,
                "NotIn" => !among,
                other => panic!("the operator {other}"),
            }
        })
}

/// The rules in one direction that hold for a pod.
fn rules<'a>(rendered: &'a Rendered, pod: &Pod<'_>, direction: &str) -> Vec<&'a Value> {
    let policies = rendered.of_kind("NetworkPolicy").into_values();
    policies
        .filter(|policy| selects(&policy["spec"]["podSelector"], pod.labels()))
        .filter(|policy| {
            let types = list(&policy["spec"]["policyTypes"]).iter();
            let wanted = direction.to_lowercase();
            types.map(text).any(|one| one.to_lowercase() == wanted)
        })
        .flat_map(|policy| list(&policy["spec"][direction]))
        .collect()
}

/// What a rule allows: peers as words, or all inner pods that it selects.
fn peers(rule: &Value, direction: &str, pods: &[Pod<'_>]) -> Vec<String> {
    let side = if direction == "ingress" { "from" } else { "to" };
    if rule[side].is_null() {
        let inside = pods.iter().map(|pod| pod.name.clone());
        return inside.chain(["anywhere".to_owned()]).collect();
    }
    let mut peers = Vec::new();
    for peer in list(&rule[side]) {
        if let Some(cidr) = peer["ipBlock"]["cidr"].as_str() {
            peers.push(cidr.to_owned());
        } else if !peer["namespaceSelector"].is_null() {
            let labels = &peer["namespaceSelector"]["matchLabels"];
            let name = text(&labels["kubernetes.io/metadata.name"]);
            peers.push(format!("namespace {name}"));
        } else {
            let inside = pods
                .iter()
                .filter(|pod| selects(&peer["podSelector"], pod.labels()));
            peers.extend(inside.map(|pod| pod.name.clone()));
        }
    }
    peers
}

/// Every flow that the policies allow, as `from -> to:port`.
fn flows(rendered: &Rendered) -> BTreeSet<String> {
    let pods = pods(rendered);
    let inside: BTreeSet<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    let (mut sent, mut taken, mut outside) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for pod in &pods {
        for rule in rules(rendered, pod, "egress") {
            for peer in peers(rule, "egress", &pods) {
                for port in list(&rule["ports"]) {
                    let port = &port["port"];
                    let flow = format!("{} -> {peer}:{port}", pod.name);
                    let sort = if inside.contains(peer.as_str()) {
                        &mut sent
                    } else {
                        &mut outside
                    };
                    sort.insert(flow);
                }
            }
        }
        for rule in rules(rendered, pod, "ingress") {
            for peer in peers(rule, "ingress", &pods) {
                for port in list(&rule["ports"]) {
                    let port = pod.port(&port["port"]).expect("a port of the pod");
                    let flow = format!("{peer} -> {}:{port}", pod.name);
                    let sort = if inside.contains(peer.as_str()) {
                        &mut taken
                    } else {
                        &mut outside
                    };
                    sort.insert(flow);
                }
            }
        }
    }
    // What is sent to nobody that takes it was a mistake of the policies.
    for flow in &sent {
        assert!(
            taken.contains(flow),
            "{}: {flow} is not let in",
            rendered.name
        );
    }
    let both = sent.intersection(&taken).cloned();
    both.chain(outside).collect()
}

/// The flows of every overlay.
const INNER: [&str; 6] = [
    "anywhere -> gateway:8443",
    "gateway -> snapshotter:7001",
    "gateway -> differ:7002",
    "gateway -> restorer:7003",
    "snapshotter -> differ:7002",
    "restorer -> differ:7002",
];

const DNS: &str = "namespace kube-system:53";
const READERS_AND_WRITER: [&str; 3] = ["snapshotter", "differ", "restorer"];
const STORE_USERS: [&str; 4] = ["snapshotter", "differ", "restorer", "gateway"];

fn expected(rendered: &Rendered) -> BTreeSet<String> {
    let mut flows: BTreeSet<String> = INNER.map(str::to_owned).into();
    for pod in pods(rendered) {
        flows.insert(format!("{} -> {DNS}", pod.name));
    }
    let mut from = |names: &[&str], to: &str| {
        flows.extend(names.iter().map(|name| format!("{name} -> {to}")));
    };
    let name = rendered.name.split(' ').next().expect("a name");
    if CLOUDS.contains(&name) {
        from(&READERS_AND_WRITER, "0.0.0.0/0:443");
        // The login, which signs the tokens of callers and hands out those for Azure's store.
        for range in [
            "20.20.32.0/19",
            "20.190.128.0/18",
            "20.231.128.0/19",
            "40.126.0.0/18",
        ] {
            from(&["gateway"], &format!("{range}:443"));
        }
    } else {
        from(&READERS_AND_WRITER, "simulator:8444");
    }
    match name {
        "azure" | "aws" => from(&STORE_USERS, "10.0.0.0/8:443"),
        "gcp" => {
            from(&STORE_USERS, "199.36.153.8/30:443");
            for server in ["169.254.169.254/32", "169.254.169.252/32"] {
                for port in [80, 988, 8080] {
                    from(&STORE_USERS, &format!("{server}:{port}"));
                }
            }
        }
        "dev-azurite" => from(&STORE_USERS, "azurite:10000"),
        _ => {}
    }
    if rendered.name == "monitoring" || rendered.name.contains("options") {
        for scraped in ["snapshotter", "differ", "gateway"] {
            flows.insert(format!("namespace monitoring -> {scraped}:9090"));
        }
    }
    flows
}

/// Everything else is denied: the first policy selects every pod in both directions and allows nothing.
#[test]
fn exactly_these_flows_are_allowed() {
    let overlays = OVERLAYS.map(overlay).into_iter().chain([with_options()]);
    for rendered in overlays {
        let deny = &rendered.object("NetworkPolicy", "rewind-default-deny")["spec"];
        assert_eq!(deny["podSelector"], serde_json::json!({}));
        assert_eq!(
            deny["policyTypes"],
            serde_json::json!(["Ingress", "Egress"])
        );
        assert!(deny["ingress"].is_null() && deny["egress"].is_null());
        let (found, expected) = (flows(&rendered), expected(&rendered));
        let more: Vec<_> = found.difference(&expected).collect();
        let less: Vec<_> = expected.difference(&found).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{}: too many {more:?}, too few {less:?}",
            rendered.name
        );
    }
}

/// The way to Graph is a way out of the house: no address inside is reached by it.
#[test]
fn the_way_to_graph_leads_nowhere_inside() {
    for name in CLOUDS {
        let rendered = overlay(name);
        let block = &rendered.object("NetworkPolicy", "rewind-graph")["spec"]["egress"][0]["to"][0];
        let except: Vec<&str> = list(&block["ipBlock"]["except"]).iter().map(text).collect();
        for private in [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
        ] {
            assert!(except.contains(&private), "{name}: {private}");
        }
    }
}
