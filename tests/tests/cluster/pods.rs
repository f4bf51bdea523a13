//! Pods: what they may, what they hold, and how they start and stop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rendered::{CLOUDS, Rendered, SERVICES, all, list, overlay, text};

/// Every pod, as (where, template).
fn templates(rendered: &Rendered) -> Vec<(String, &Value)> {
    let deployments = rendered.of_kind("Deployment").into_iter();
    deployments
        .map(|(name, object)| {
            (
                format!("{name} in {}", rendered.name),
                &object["spec"]["template"],
            )
        })
        .collect()
}

/// The Secrets that a pod gets in any way, without the hashes of generated names.
fn secrets(rendered: &Rendered, template: &Value) -> BTreeSet<String> {
    let spec = &template["spec"];
    let mut names = BTreeSet::new();
    for volume in list(&spec["volumes"]) {
        names.extend(volume["secret"]["secretName"].as_str());
        for source in list(&volume["projected"]["sources"]) {
            names.extend(source["secret"]["name"].as_str());
        }
    }
    for container in list(&spec["containers"])
        .iter()
        .chain(list(&spec["initContainers"]))
    {
        for source in list(&container["envFrom"]) {
            names.extend(source["secretRef"]["name"].as_str());
        }
        for variable in list(&container["env"]) {
            names.extend(variable["valueFrom"]["secretKeyRef"]["name"].as_str());
        }
    }
    let generated = rendered.of_kind("Secret");
    names
        .into_iter()
        .map(|name| match generated.contains_key(name) {
            true => name.rsplit_once('-').expect("a hash").0.to_owned(),
            false => name.to_owned(),
        })
        .collect()
}

/// Law 9 in the cluster.
#[test]
fn only_the_restorer_holds_what_proves_the_writer() {
    for rendered in all() {
        for (place, template) in templates(&rendered) {
            let held = secrets(&rendered, template);
            let restorer = place.starts_with("rewind-restorer ");
            let reader =
                place.starts_with("rewind-snapshotter ") || place.starts_with("rewind-differ ");
            assert_eq!(
                held.contains("rewind-writer"),
                restorer,
                "{place}: {held:?}"
            );
            assert_eq!(held.contains("rewind-reader"), reader, "{place}: {held:?}");
            assert_eq!(
                held.contains("rewind-tokens"),
                place.starts_with("rewind-gateway "),
                "{place}: {held:?}"
            );
        }
        for service in SERVICES {
            let environment = rendered.environment(&format!("rewind-{service}"));
            for key in environment.keys() {
                let writer = key == "REWIND_WRITER_CREDENTIAL" || key.contains("CREDENTIAL_WRITER");
                let reader = key == "REWIND_READER_CREDENTIAL" || key.contains("CREDENTIAL_READER");
                assert!(!writer || service == "restorer", "{service} has {key}");
                assert!(
                    !reader || ["snapshotter", "differ"].contains(&service),
                    "{service} has {key}"
                );
            }
        }
    }
}

#[test]
fn nobody_has_rights_that_are_not_needed() {
    for rendered in all() {
        for (place, template) in templates(&rendered) {
            let spec = &template["spec"];
            assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
            assert_eq!(spec["enableServiceLinks"], false, "{place}");
            let pod = &spec["securityContext"];
            assert_eq!(pod["runAsNonRoot"], true, "{place}");
            assert_eq!(pod["runAsUser"], 65_532, "{place}");
            assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{place}");
            for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(spec[forbidden].is_null(), "{place}: {forbidden}");
            }
            for volume in list(&spec["volumes"]) {
                assert!(volume["hostPath"].is_null(), "{place}");
            }
            for container in list(&spec["containers"]) {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{place}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{place}");
                assert_eq!(
                    context["capabilities"],
                    json!({ "drop": ["ALL"] }),
                    "{place}"
                );
                assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{place}");
                // Not every node for development tells how much of its disk there is.
                let production = rendered.of_kind("Secret").is_empty();
                let disk = production.then_some("ephemeral-storage");
                for kind in ["requests", "limits"] {
                    for resource in ["cpu", "memory"].into_iter().chain(disk) {
                        let value = &container["resources"][kind][resource];
                        assert!(value.is_string(), "{place}: {kind} of {resource}");
                    }
                }
            }
            let account = text(&spec["serviceAccountName"]);
            let account = rendered.object("ServiceAccount", account);
            assert_eq!(account["automountServiceAccountToken"], false, "{place}");
        }
        let labels = &rendered.object("Namespace", "rewind")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
        // Nothing talks to the cluster.
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            assert!(
                rendered.of_kind(kind).is_empty(),
                "{}: {kind}",
                rendered.name
            );
        }
    }
}

/// Only a folder in memory and the store's claim are written to.
#[test]
fn what_is_mounted_is_read_only_but_for_the_store_and_tmp() {
    for rendered in all() {
        for service in SERVICES {
            let container = &rendered.pod(&format!("rewind-{service}"))["spec"]["containers"][0];
            for mount in list(&container["volumeMounts"]) {
                let writable = mount["readOnly"] != true;
                let known = ["/tmp", "/data"].contains(&text(&mount["mountPath"]));
                assert_eq!(writable, known, "{service} in {}: {mount}", rendered.name);
            }
        }
    }
}

/// The port of an address such as `0.0.0.0:7001`.
fn port(address: &str) -> u64 {
    let port = address.rsplit_once(':').expect("an address").1;
    port.parse().expect("a port")
}

#[test]
fn probes_ask_where_the_services_serve() {
    for rendered in all() {
        for service in SERVICES {
            let place = format!("{service} in {}", rendered.name);
            let name = format!("rewind-{service}");
            let environment = rendered.environment(&name);
            let container = &rendered.pod(&name)["spec"]["containers"][0];
            let listen = port(&environment["REWIND_LISTEN"]);
            let in_the_clear = environment
                .get("REWIND_HEALTH_LISTEN")
                .map(|address| port(address));
            // Kubelet's gRPC probes speak no TLS.
            assert_eq!(
                environment.contains_key("REWIND_TLS_CERT"),
                in_the_clear.is_some(),
                "{place}"
            );
            let asked = in_the_clear.unwrap_or(listen);
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                assert_eq!(container[probe]["grpc"]["port"], asked, "{place}: {probe}");
            }
            let metrics = environment
                .get("REWIND_METRICS_LISTEN")
                .map(|address| port(address));
            let mut listened: BTreeMap<&str, u64> = BTreeMap::from([("grpc", listen)]);
            listened.extend(in_the_clear.map(|port| ("health", port)));
            listened.extend(metrics.map(|port| ("metrics", port)));
            let ports = list(&container["ports"]).iter();
            let ports: BTreeMap<&str, u64> = ports
                .map(|port| {
                    (
                        text(&port["name"]),
                        port["containerPort"].as_u64().expect("a port"),
                    )
                })
                .collect();
            assert_eq!(ports, listened, "{place}");
            // The Service offers what others call, under the same numbers.
            let offered = list(&rendered.object("Service", &name)["spec"]["ports"]).iter();
            for offer in offered {
                let name = text(&offer["targetPort"]);
                assert_eq!(offer["port"], listened[name], "{place}");
            }
        }
    }
}

#[test]
fn services_are_called_where_they_are() {
    for rendered in all() {
        for service in SERVICES {
            let environment = rendered.environment(&format!("rewind-{service}"));
            for peer in SERVICES {
                let Some(url) = environment.get(&format!("REWIND_{}_URL", peer.to_uppercase()))
                else {
                    continue;
                };
                let name = format!("rewind-{peer}");
                let called = rendered.environment(&name);
                let scheme = if called.contains_key("REWIND_TLS_CERT") {
                    "https"
                } else {
                    "http"
                };
                let listen = port(&called["REWIND_LISTEN"]);
                assert_eq!(*url, format!("{scheme}://{name}:{listen}"), "{service}");
                // Callers find the replicas by themselves.
                let headless = &rendered.object("Service", &name)["spec"]["clusterIP"];
                assert_eq!(headless, "None", "{name}");
            }
        }
        let gateway = &rendered.object("Service", "rewind-gateway")["spec"];
        assert!(gateway["clusterIP"].is_null());
    }
}

#[test]
fn a_pod_that_stops_has_time_to() {
    for rendered in all() {
        for service in SERVICES {
            let name = format!("rewind-{service}");
            let spec = &rendered.pod(&name)["spec"];
            let pause = &spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
            let pause = Duration::from_secs(pause.as_u64().expect("a pause"));
            let grace = &rendered.environment(&name)["REWIND_GRACE"];
            let seconds = grace
                .strip_suffix('s')
                .expect("seconds")
                .parse()
                .expect("a number");
            // And a second for the connections' last words.
            let needed = pause + Duration::from_secs(seconds) + Duration::from_secs(1);
            let given = spec["terminationGracePeriodSeconds"]
                .as_u64()
                .expect("a time");
            assert!(Duration::from_secs(given) > needed, "{name}: {given} s");
        }
    }
}

#[test]
fn drains_and_rollouts_leave_somebody_serving() {
    for rendered in all() {
        let budgets = rendered.of_kind("PodDisruptionBudget");
        for service in SERVICES {
            let name = format!("rewind-{service}");
            let deployment = &rendered.object("Deployment", &name)["spec"];
            let budget = &budgets[name.as_str()]["spec"];
            assert_eq!(budget["selector"], deployment["selector"], "{name}");
            assert_eq!(budget["maxUnavailable"], 1, "{name}");
            // Only the gateway has no share in a quota, and may be one more for a while.
            let (fewer, more) = if service == "gateway" { (0, 1) } else { (1, 0) };
            let rollout = &deployment["strategy"]["rollingUpdate"];
            assert_eq!(rollout["maxUnavailable"], fewer, "{name}");
            assert_eq!(rollout["maxSurge"], more, "{name}");
            let selected = &deployment["selector"]["matchLabels"];
            let spread = list(&deployment["template"]["spec"]["topologySpreadConstraints"]);
            let keys: Vec<&str> = spread.iter().map(|one| text(&one["topologyKey"])).collect();
            assert_eq!(
                keys,
                ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
            );
            for one in spread {
                assert_eq!(one["labelSelector"]["matchLabels"], *selected, "{name}");
            }
            let class = text(&deployment["template"]["spec"]["priorityClassName"]);
            rendered.object("PriorityClass", class);
        }
    }
    for name in CLOUDS {
        let rendered = overlay(name);
        for service in SERVICES {
            let (least, _) = replicas(&rendered, service);
            assert!(least >= 2, "{service} in {name} has {least}");
        }
    }
}

/// How few and how many replicas there may be.
fn replicas(rendered: &Rendered, service: &str) -> (u64, u64) {
    let name = format!("rewind-{service}");
    let deployment = &rendered.object("Deployment", &name)["spec"];
    let scalers = rendered.of_kind("HorizontalPodAutoscaler");
    let scaler = scalers
        .values()
        .find(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == name.as_str());
    match scaler {
        Some(scaler) => {
            assert!(deployment["replicas"].is_null(), "{name}: two say how many");
            let number = |key: &str| scaler["spec"][key].as_u64().expect("a number");
            (number("minReplicas"), number("maxReplicas"))
        }
        None => {
            let number = deployment["replicas"].as_u64().expect("a number");
            (number, number)
        }
    }
}

/// An application's quota over all tenants is kept however many replicas there are.
#[test]
fn quotas_are_shared_by_as_many_as_there_may_be() {
    for rendered in all() {
        for service in ["snapshotter", "differ", "restorer"] {
            let told = &rendered.environment(&format!("rewind-{service}"))["REWIND_REPLICAS"];
            let (_, most) = replicas(&rendered, service);
            // One that is ending goes on beside the one in its place until its calls have ended.
            let most = (most + 1).to_string();
            assert_eq!(*told, most, "{service} in {}", rendered.name);
        }
    }
}

/// A claim that one node mounts, and everybody who uses it on that node.
#[test]
fn who_uses_the_claim_is_where_it_is() {
    let rendered = overlay("dev");
    let claim = &rendered.object("PersistentVolumeClaim", "rewind-data")["spec"];
    assert_eq!(claim["accessModes"], json!(["ReadWriteOnce"]));
    for service in SERVICES {
        let name = format!("rewind-{service}");
        let template = rendered.pod(&name);
        let spec = &template["spec"];
        assert_eq!(
            rendered.environment(&name)["REWIND_STORE_URL"],
            "file:///data"
        );
        assert_eq!(spec["securityContext"]["fsGroup"], 65_532);
        let terms =
            &spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(terms[0]["topologyKey"], "kubernetes.io/hostname");
        let wanted = terms[0]["labelSelector"]["matchLabels"]
            .as_object()
            .expect("labels");
        for (key, value) in wanted {
            assert_eq!(
                template["metadata"]["labels"][key], *value,
                "{name} starts the group"
            );
        }
    }
}

/// What is published is marked, and in no overlay of a cloud.
#[test]
fn published_secrets_are_for_practice_alone() {
    for rendered in all() {
        let practice =
            !rendered.name.starts_with("azure") && !CLOUDS.contains(&rendered.name.as_str());
        let published = rendered.of_kind("Secret");
        assert_eq!(published.is_empty(), !practice, "{}", rendered.name);
        for (name, secret) in published {
            let label = &secret["metadata"]["labels"]["rewind/dev-only"];
            assert_eq!(label, "true", "{name} in {}", rendered.name);
        }
        let allowed = rendered
            .environment("rewind-gateway")
            .contains_key("REWIND_CUSTOM_CLOUDS");
        assert_eq!(allowed, practice, "{}", rendered.name);
        let token = "REWIND_DEVELOPMENT_TOKEN_FILE";
        let development = rendered.environment("rewind-gateway").contains_key(token);
        assert_eq!(development, practice, "{}", rendered.name);
    }
}

#[test]
fn everything_is_labelled_as_kubernetes_recommends() {
    for rendered in all() {
        for object in &rendered.objects {
            let name = text(&object["metadata"]["name"]);
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/part-of"], "rewind", "{name}");
            assert_eq!(
                labels["app.kubernetes.io/managed-by"], "kustomize",
                "{name}"
            );
            if object["kind"] == "Deployment" {
                let version = &labels["app.kubernetes.io/version"];
                assert_eq!(version, env!("CARGO_PKG_VERSION"), "{name}");
                assert!(labels["app.kubernetes.io/name"].is_string(), "{name}");
                assert!(labels["app.kubernetes.io/component"].is_string(), "{name}");
                let image = text(&object["spec"]["template"]["spec"]["containers"][0]["image"]);
                let ours = image.rsplit('/').next().expect("a name");
                if ours.starts_with("rewind") {
                    let tag = ours.rsplit_once(':').expect("a tag").1;
                    assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{image}");
                }
            }
        }
    }
}
