"""A gRPC client that is made from the protos alone.

Arguments: which part of the story (`before` or `after` the attack), the folder of the protos, a
folder for what is made of them, the gateway's address, the tenant, a token, a file that keeps the
snapshot's name between the parts, and the user who is attacked.
"""

import os
import sys
import uuid

PART, PROTOS, STUBS, ADDRESS, TENANT, TOKEN, MARK, USER = sys.argv[1:9]

if not os.path.isdir(STUBS):
    import grpc_tools
    from grpc_tools import protoc

    os.makedirs(STUBS)
    folder = os.path.join(PROTOS, "rewind", "v1")
    files = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    failed = protoc.main(
        ["", f"-I{PROTOS}", f"-I{well_known}", f"--python_out={STUBS}", f"--grpc_python_out={STUBS}"]
        + files
    )
    if failed:
        sys.exit("the protos do not compile")
sys.path.insert(0, STUBS)

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from rewind.v1 import (
    diff_pb2,
    diff_pb2_grpc,
    restore_pb2,
    restore_pb2_grpc,
    snapshot_pb2,
    snapshot_pb2_grpc,
    tenant_pb2,
    tenant_pb2_grpc,
)

PARENT = f"tenants/{TENANT}"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} is not {expected!r}")
    print(f"ok {what}")


def last(watch):
    """The last message of a stream."""
    message = None
    for message in watch:
        pass
    return message


def once():
    return str(uuid.uuid4())


def ask(channel):
    """Health and reflection, which take no token."""
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", "rewind.v1.RestoreService"]:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        expect(f"health of {service!r}", answer.status, health_pb2.HealthCheckResponse.SERVING)


def before(channel):
    ask(channel)
    tenants = tenant_pb2_grpc.TenantServiceStub(channel)
    try:
        tenants.ListTenants(tenant_pb2.ListTenantsRequest())
        raise AssertionError("tenants are listed without a token")
    except grpc.RpcError as error:
        expect("no token", error.code(), grpc.StatusCode.UNAUTHENTICATED)
    listed = tenants.ListTenants(tenant_pb2.ListTenantsRequest(), metadata=BEARER).tenants
    expect("tenants", [tenant.id for tenant in listed], [TENANT])

    snapshots = snapshot_pb2_grpc.SnapshotServiceStub(channel)
    request = snapshot_pb2.TakeSnapshotRequest(parent=PARENT, request_id=once())
    taken = snapshots.TakeSnapshot(request, metadata=BEARER).snapshot
    request = snapshot_pb2.WatchSnapshotRequest(name=taken.name)
    taken = last(snapshots.WatchSnapshot(request, metadata=BEARER)).snapshot
    expect("snapshot", taken.state, snapshot_pb2.SNAPSHOT_STATE_COMPLETE)
    with open(MARK, "w") as mark:
        mark.write(taken.name)


def after(channel):
    with open(MARK) as mark:
        snapshot = mark.read()
    diffs = diff_pb2_grpc.DiffServiceStub(channel)
    request = diff_pb2.CreateReportRequest(parent=PARENT, base=snapshot, request_id=once())
    report = diffs.CreateReport(request, metadata=BEARER).report
    request = diff_pb2.WatchReportRequest(name=report.name)
    report = last(diffs.WatchReport(request, metadata=BEARER)).report
    expect("report", report.state, diff_pb2.REPORT_STATE_SUCCEEDED)
    request = diff_pb2.ListChangesRequest(parent=report.name)
    changes = diffs.ListChanges(request, metadata=BEARER).changes
    expect("changes", [change.object.id for change in changes], [USER])
    paths = [attribute.path for attribute in changes[0].attributes]
    expect("attributes", paths, ["jobTitle"])

    restores = restore_pb2_grpc.RestoreServiceStub(channel)
    request = restore_pb2.CreatePlanRequest(
        parent=PARENT, report=report.name, request_id=once()
    )
    plan = restores.CreatePlan(request, metadata=BEARER).plan
    request = restore_pb2.WatchPlanRequest(name=plan.name)
    plan = last(restores.WatchPlan(request, metadata=BEARER)).plan
    expect("plan", (plan.state, plan.step_count), (restore_pb2.PLAN_STATE_READY, 1))
    request = restore_pb2.ApplyPlanRequest(name=plan.name, request_id=once())
    restore = restores.ApplyPlan(request, metadata=BEARER).restore
    request = restore_pb2.WatchRestoreRequest(name=restore.name)
    restore = last(restores.WatchRestore(request, metadata=BEARER)).restore
    expect(
        "restore",
        (restore.state, restore.applied, restore.verified),
        (restore_pb2.RESTORE_STATE_SUCCEEDED, 1, True),
    )


def reflect(channel):
    """The server tells its own contract."""
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    missing = {"rewind.v1.TenantService", "rewind.v1.RestoreService"} - services
    expect("services that reflection leaves out", missing, set())
    file = database.FindFileContainingSymbol("rewind.v1.RestoreService")
    expect("file by reflection", file.name, "rewind/v1/restore.proto")


with grpc.insecure_channel(ADDRESS) as channel:
    if PART == "before":
        before(channel)
        reflect(channel)
    else:
        after(channel)
print("done")
