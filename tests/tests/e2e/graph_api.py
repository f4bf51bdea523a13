"""Drives Rewind through Microsoft's own SDK, of which nothing but the base URL is changed.

Arguments: the gateway's URL, the tenant, a token, and the ids of two users whose job title was
changed; the second of them cannot be put back.
"""

import asyncio
import sys
import time

from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.middleware.options import HeadersInspectionHandlerOption
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.directory.recovery.jobs.jobs_request_builder import JobsRequestBuilder
from msgraph.generated.models.entra_recovery_services.entity_type_and_ids import EntityTypeAndIds
from msgraph.generated.models.entra_recovery_services.recovery_action import RecoveryAction
from msgraph.generated.models.entra_recovery_services.recovery_change_object_base import (
    RecoveryChangeObjectBase,
)
from msgraph.generated.models.entra_recovery_services.recovery_job import RecoveryJob
from msgraph.generated.models.entra_recovery_services.recovery_job_entity_name_and_ids_filter import (
    RecoveryJobEntityNameAndIdsFilter,
)
from msgraph.generated.models.entra_recovery_services.recovery_job_entity_names_filter import (
    RecoveryJobEntityNamesFilter,
)
from msgraph.generated.models.entra_recovery_services.recovery_preview_job import (
    RecoveryPreviewJob,
)
from msgraph.generated.models.entra_recovery_services.recovery_status import RecoveryStatus
from msgraph.generated.models.entra_recovery_services.resource_type_name import ResourceTypeName
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph_core.models.page_result import PageResult

URL, TENANT, TOKEN, GOOD, BAD = sys.argv[1:6]

GET_CHANGES = "microsoft.graph.entraRecoveryServices.getChanges"
GET_FAILED_CHANGES = "microsoft.graph.entraRecoveryServices.getFailedChanges"
FINAL = (RecoveryStatus.Successful, RecoveryStatus.Failed, RecoveryStatus.Abandoned)
ERRORS = {"XXX": ODataError}


class Credential:
    """A token that is there already."""

    def get_token(self, *scopes, **_):
        return AccessToken(TOKEN, 2**31)

    def close(self):
        pass


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} is not {expected!r}")
    print(f"ok {what}")


class Jobs:
    """What the SDK has models for and no builders: it sends documented requests by its adapter."""

    def __init__(self, client, snapshot):
        self.adapter = client.request_adapter
        self.snapshot = snapshot

    def request(self, method, rest):
        return RequestInformation(
            method,
            "{+baseurl}/directory/recovery/snapshots/{snapshot%2Did}/" + rest,
            {"snapshot%2Did": self.snapshot},
        )

    async def make(self, collection, job):
        """Makes a job, and answers its id by the place that the server names."""
        request = self.request(Method.POST, collection)
        request.headers.try_add("Accept", "application/json")
        request.set_content_from_parsable(self.adapter, "application/json", job)
        told = HeadersInspectionHandlerOption(inspect_response_headers=True)
        request.add_request_options([told])
        made = await self.adapter.send_async(request, type(job), ERRORS)
        location = next(iter(told.response_headers.get("location")))
        expect(f"location of {collection}", location.rsplit("/", 1)[1], made.id)
        expect(
            "location on the own base URL",
            location.startswith(f"{URL}/{TENANT}/v1.0/directory/recovery/snapshots/"),
            True,
        )
        return made.id

    async def changes(self, collection, job, function):
        """All pages of a function's answer."""
        changes, url, pages = [], None, 0
        while True:
            request = self.request(Method.GET, f"{collection}/{job}/{function}?$top=1")
            if url:
                request.url = url
            request.headers.try_add("Accept", "application/json")
            page = await self.adapter.send_async(request, Changes, ERRORS)
            changes += page.value
            pages += 1
            url = page.odata_next_link
            if not url:
                return changes, pages


class Changes(PageResult):
    """A page of changes."""

    @staticmethod
    def create_from_discriminator_value(parse_node=None):
        return Changes()

    def get_field_deserializers(self):
        return {
            "@odata.nextLink": lambda n: setattr(self, "odata_next_link", n.get_str_value()),
            "value": lambda n: setattr(
                self, "value", n.get_collection_of_object_values(RecoveryChangeObjectBase)
            ),
        }


async def ended(builder):
    """Polls a job as the documentation says."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        job = await builder.get()
        if job.status in FINAL:
            return job
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {job.status}")


async def main():
    provider = AzureIdentityAuthenticationProvider(Credential(), allowed_hosts=["127.0.0.1"])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{URL}/{TENANT}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)
    recovery = client.directory.recovery

    snapshots = (await recovery.snapshots.get()).value
    expect("snapshots", len(snapshots), 1)
    snapshot = await recovery.snapshots.by_snapshot_id(snapshots[0].id).get()
    expect("snapshot", snapshot.created_date_time, snapshots[0].created_date_time)
    expect("count of snapshots", await recovery.snapshots.count.get(), 1)
    try:
        await recovery.snapshots.by_snapshot_id("nothing").get()
        raise AssertionError("there is such a snapshot")
    except ODataError as error:
        expect("no such snapshot", error.response_status_code, 404)
        expect("its code", error.error.code, "Request_ResourceNotFound")
        expect("its request", bool(error.error.inner_error.request_id), True)

    jobs = Jobs(client, snapshot.id)
    here = recovery.snapshots.by_snapshot_id(snapshot.id)
    names = RecoveryJobEntityNamesFilter(entity_types=[ResourceTypeName.User])
    made = await jobs.make("recoveryPreviewJobs", RecoveryPreviewJob(filtering_criteria=names))
    preview = await ended(here.recovery_preview_jobs.by_recovery_preview_job_id(made))
    expect("preview", preview.status, RecoveryStatus.Successful)
    expect("its target", preview.target_state_date_time, snapshot.created_date_time)
    expect("its objects", preview.total_changed_objects_calculated, 2)
    expect("its types", preview.filtering_criteria.entity_types, [ResourceTypeName.User])
    changes, pages = await jobs.changes("recoveryPreviewJobs", made, GET_CHANGES)
    expect("changes", {change.id for change in changes}, {GOOD, BAD})
    expect("pages", pages, 2)
    for change in changes:
        expect("action", change.recovery_action, RecoveryAction.Update)
        expect("type", change.entity_type_name, ResourceTypeName.User)
        expect("now", change.additional_data["currentState"]["jobTitle"], "Changed")
        delta = change.additional_data["deltaFromCurrent"]
        expect("then", "jobTitle" in delta and delta["jobTitle"] != "Changed", True)

    values = EntityTypeAndIds(entity_type=ResourceTypeName.User, entity_ids=[GOOD, BAD])
    ids = RecoveryJobEntityNameAndIdsFilter(filter_values=[values])
    made = await jobs.make("recoveryJobs", RecoveryJob(filtering_criteria=ids))
    job = await ended(here.recovery_jobs.by_recovery_job_id(made))
    expect("recovery", job.status, RecoveryStatus.Successful)
    expect(
        "its numbers",
        (
            job.total_changed_objects_calculated,
            job.total_objects_modified,
            job.total_links_modified,
            job.total_failed_changes,
        ),
        (2, 1, 0, 1),
    )
    expect("its ids", job.filtering_criteria.filter_values[0].entity_ids, [GOOD, BAD])
    failures, _ = await jobs.changes("recoveryJobs", made, GET_FAILED_CHANGES)
    expect("failures", [failure.id for failure in failures], [BAD])
    expect("why", failures[0].failure_message.startswith("failed: "), True)

    made = await jobs.make("recoveryPreviewJobs", RecoveryPreviewJob())
    builder = recovery.jobs.by_recovery_job_base_id(made)
    try:
        await builder.microsoft_graph_entra_recovery_services_cancel.post()
        expect("cancelled", (await ended(builder)).status, RecoveryStatus.Abandoned)
    except ODataError as error:
        # It was quicker.
        expect("too late", error.response_status_code, 400)
        expect("cancelled too late", (await builder.get()).status, RecoveryStatus.Successful)

    query = JobsRequestBuilder.JobsRequestBuilderGetQueryParameters(
        filter=f"targetStateDateTime eq {snapshot.created_date_time.isoformat()}",
        orderby=["jobStartDateTime"],
        top=2,
    )
    page = await recovery.jobs.get(
        request_configuration=RequestConfiguration(query_parameters=query)
    )
    kinds = [type(job) for job in page.value]
    next_page = await recovery.jobs.with_url(page.odata_next_link).get()
    kinds += [type(job) for job in next_page.value]
    expect("jobs", kinds, [RecoveryPreviewJob, RecoveryJob, RecoveryPreviewJob])
    print("done")


asyncio.run(main())
