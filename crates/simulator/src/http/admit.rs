//! One request of a known caller, alone or in a batch: announced, counted, limited, answered.
//!
//! Faults come before; they must never be decided here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::counters::watch;
use crate::counters::{AppCount, ViolationKind};
use crate::hook::RequestInfo;
use crate::http::reply::{GraphError, Reply};
use crate::http::server::failed;
use crate::http::{Call, cost, route};
use crate::simulator::{Shared, Simulator};
use crate::tenant::{Actor, Tenant};
use crate::throttle::{Draw, Lane, Refusal, Throttle};

/// From which usage on an answer tells it.
const SHOWN_USAGE: f64 = 0.8;

/// Serves one request.
pub(crate) fn admitted(shared: &Arc<Shared>, tenant: &Tenant, actor: &Actor, call: &Call) -> Reply {
    announce(shared, tenant, call);
    let write = cost::is_write(call);
    let seen;
    let tenant = if tenant.state.lags() {
        seen = if write {
            tenant.newest()
        } else {
            tenant.lagging()
        };
        &seen
    } else {
        tenant
    };
    let route = watch::route(call);
    let units = cost::units(call);
    let drawn = match *shared.throttle.read() {
        Throttle::Off => Ok(0.0),
        Throttle::Documented => draw(shared, tenant, actor, call, units, write),
    };
    let mut reply = match &drawn {
        Ok(usage) => {
            let answered = route::answer(shared, tenant, actor, call);
            let mut reply = match answered {
                Ok(reply) => common_headers(shared, call, reply),
                Err(error) => failed(shared, &call.headers, error),
            };
            if *usage >= SHOWN_USAGE && cost::lane(call) == Lane::Identity {
                reply = reply.header("x-ms-throttle-limit-percentage", format!("{usage:.2}"));
            }
            reply
        }
        Err(refusal) => throttled(shared, tenant, actor, call, refusal),
    };
    reply.cost = units;
    count(shared, actor, route, write, &reply, drawn.is_err());
    reply
}

/// Tells the hook, if there is one.
fn announce(shared: &Arc<Shared>, tenant: &Tenant, call: &Call) {
    let number = shared.number.fetch_add(1, Ordering::Relaxed);
    let Some(hook) = shared.hook.current() else {
        return;
    };
    let info = RequestInfo {
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        tenant: tenant.spec.id.clone(),
        number,
    };
    let simulator = Simulator {
        shared: Arc::clone(shared),
    };
    hook(&info, &simulator);
}

fn draw(
    shared: &Shared,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    units: u32,
    write: bool,
) -> Result<f64, Refusal> {
    let state = tenant.state.read();
    let draw = Draw {
        app: &actor.app.client_id,
        units,
        write,
        personal: write && cost::is_personal(&state, call),
        lane: cost::lane(call),
        users: state.all(crate::catalog::Kind::User).len(),
    };
    let now = shared.clock.seconds();
    let usage = tenant.budgets.lock().draw(now, &draw)?;
    let app_usage = shared.app_budgets.lock().draw_app(now, &draw)?;
    Ok(usage.max(app_usage))
}

fn throttled(
    shared: &Shared,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    refusal: &Refusal,
) -> Reply {
    let (kind, limit) = (ViolationKind::QuotaPassed, refusal.limit);
    watch::note(shared, tenant, actor, call, kind, format!("{limit:?}"));
    let hint = |seconds: f64| format!("{}", seconds.ceil().max(1.0));
    let error = GraphError::throttled(refusal.retry_after.map(hint));
    let scope = limit.scope(&actor.app.client_id, &tenant.spec.id);
    let reply = failed(shared, &call.headers, error);
    if cost::lane(call) != Lane::Identity {
        return reply;
    }
    reply
        .header("x-ms-throttle-scope", scope)
        .header("x-ms-throttle-information", limit.information().to_owned())
        .header(
            "x-ms-throttle-limit-percentage",
            format!("{:.2}", refusal.usage.max(1.0)),
        )
}

fn count(shared: &Shared, actor: &Actor, route: String, write: bool, reply: &Reply, refused: bool) {
    let (units, refused) = (u64::from(reply.cost), u64::from(refused));
    let mut counters = shared.counters.lock();
    counters.total += 1;
    counters.writes += u64::from(write);
    counters.units += units;
    counters.throttled += refused;
    if let Some(app) = counters.apps.get_mut(&actor.app.client_id) {
        app.requests += 1;
        app.writes += u64::from(write);
        app.units += units;
        app.throttled += refused;
    } else {
        let app = AppCount {
            requests: 1,
            writes: u64::from(write),
            units,
            throttled: refused,
            tokens: 0,
        };
        counters.apps.insert(actor.app.client_id.clone(), app);
    }
    let costs = counters.routes.entry(route.clone()).or_default();
    costs.units += units;
    costs.bytes += reply.body.len() as u64;
    costs.throttled += refused;
    *counters.requests.entry(route).or_default() += 1;
}

fn common_headers(shared: &Shared, call: &Call, reply: Reply) -> Reply {
    let request_id = shared.ids.lock().guid().to_string();
    let client_id = call
        .header("client-request-id")
        .map_or_else(|| request_id.clone(), str::to_owned);
    reply
        .header("request-id", request_id)
        .header("client-request-id", client_id)
        .header("odata-version", "4.0".to_owned())
}
