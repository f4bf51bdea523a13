//! The attack of the restores: over the seeds it reaches every property and every link of the
//! catalogue that a restore writes.

use std::collections::BTreeSet;

use model::catalogue::Class;
use model::snapshot::Kind;
use model::{LinkKind, ObjectType};
use simulator::{Population, Reach, Simulator, TenantSpec};

use crate::house::TENANT;
use crate::oracle::told;

#[test]
fn the_attack_reaches_every_property_and_link_that_is_written() {
    let mut open: BTreeSet<String> = BTreeSet::new();
    for object_type in ObjectType::ALL {
        let properties = object_type.spec().properties.iter();
        let written = properties.filter(|property| property.class == Class::Restorable);
        open.extend(written.map(|property| format!("{object_type} {}", property.name)));
    }
    for kind in LinkKind::ALL {
        open.extend(["added", "removed"].map(|how| format!("{} {how}", kind.name())));
    }
    // "Not used", says the reference page, and Graph shows it only to who asks for it by name.
    assert!(open.remove("conditionalAccessPolicy description"));
    for seed in 0..400 {
        if open.is_empty() {
            break;
        }
        let simulator = Simulator::new();
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        tenant.populate(&Population {
            users: 12,
            groups: 4,
            seed,
        });
        let before = simulator.dump(TENANT);
        tenant.mutate_within(Reach::Everything, seed, 60);
        let after = simulator.dump(TENANT);
        for object_type in ObjectType::ALL {
            let kind = Kind::Objects(object_type);
            let (before, after) = (told(&before, kind), told(&after, kind));
            for (key, after) in &after {
                let Some(before) = before.get(key) else {
                    continue;
                };
                open.retain(|one| {
                    let of_type = one.strip_prefix(object_type.name());
                    let name = of_type.and_then(|rest| rest.strip_prefix(' '));
                    name.is_none_or(|name| before.get(name) == after.get(name))
                });
            }
        }
        for kind in LinkKind::ALL {
            let [before, after] = [&before, &after].map(|state| told(state, Kind::Links(kind)));
            if after.keys().any(|link| !before.contains_key(link)) {
                open.remove(&format!("{} added", kind.name()));
            }
            if before.keys().any(|link| !after.contains_key(link)) {
                open.remove(&format!("{} removed", kind.name()));
            }
        }
    }
    assert_eq!(open, BTreeSet::new());
}
