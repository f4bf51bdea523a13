"""Drives the simulator through Microsoft's own SDK, unchanged, and fails where it would notice.

Arguments: the simulator's URL, the tenant's id, the client id and the secret of its writer.
"""

import asyncio
import json
import sys
import urllib.parse
import urllib.request

from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.models.group import Group
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.user import User
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.tasks.page_iterator import PageIterator

URL, TENANT, APP, SECRET = sys.argv[1:5]


class Credential:
    """Client credentials against the simulator; the SDK's own insists on https."""

    def get_token(self, *scopes, **_):
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": APP,
                "client_secret": SECRET,
                "scope": "https://graph.microsoft.com/.default",
            }
        )
        request = urllib.request.Request(
            f"{URL}/{TENANT}/oauth2/v2.0/token", data=form.encode()
        )
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)
        return AccessToken(token["access_token"], 2**31)

    def close(self):
        pass


def control(method, path, body=None):
    """A request to the simulator's control API."""
    request = urllib.request.Request(
        f"{URL}/simulator/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} is not {expected!r}")
    print(f"ok {what}")


async def list_users(client):
    """Lists with $select and pages to the end."""
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=["id", "displayName", "department"], top=7
    )
    page = await client.users.get(
        request_configuration=RequestConfiguration(query_parameters=query)
    )
    names = {}
    iterator = PageIterator(page, client.request_adapter)

    def take(user):
        names[user.id] = user.display_name
        return True

    await iterator.iterate(take)
    return names


async def batch(client, ids):
    """Reads users in one batch; answers the status of each."""
    content = BatchRequestContent()
    for user in ids:
        request = client.users.by_user_id(user).to_get_request_information()
        request.path_parameters["baseurl"] = client.request_adapter.base_url
        item = BatchRequestItem(request)
        # The SDK sends whole URLs, which Graph refuses as the simulator does:
        # https://github.com/microsoftgraph/msgraph-sdk-python/issues/1015
        item.url = item.url.removeprefix(client.request_adapter.base_url)
        content.add_request(item.id, item)
    answer = await client.batch.post(batch_request_content=content)
    return sorted(response.status for response in answer.responses.values())


async def delta(builder, link=None):
    """Follows a delta round to its end; answers its items and the delta link."""
    page = await (builder.with_url(link) if link else builder).get()
    items = list(page.value)
    while page.odata_next_link:
        page = await builder.with_url(page.odata_next_link).get()
        items.extend(page.value)
    return items, page.odata_delta_link


async def main():
    adapter = GraphRequestAdapter(
        AzureIdentityAuthenticationProvider(
            Credential(),
            scopes=["https://graph.microsoft.com/.default"],
            allowed_hosts=["127.0.0.1"],
        )
    )
    adapter.base_url = f"{URL}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)

    users = await list_users(client)
    state = control("GET", "state")["objects"]
    expect("list and page", sorted(users), sorted(state["user"]))

    some = sorted(users)[:3]
    nobody = "00000000-0000-4000-8000-000000000000"
    expect("batch", await batch(client, [*some, nobody]), [200, 200, 200, 404])

    items, users_link = await delta(client.users.delta)
    expect("users delta", len({item.id for item in items}), len(users))
    groups, groups_link = await delta(client.groups.delta)
    expect("groups delta", len({item.id for item in groups}), len(state["group"]))

    made = await client.users.post(
        User(
            account_enabled=True,
            display_name="Made by the SDK",
            mail_nickname="sdk",
            user_principal_name="sdk@practice.example",
            password_profile=PasswordProfile(password="not-a-secret-1"),
        )
    )
    await client.users.by_user_id(made.id).patch(User(department="Measured"))
    read = await client.users.by_user_id(made.id).get(
        request_configuration=RequestConfiguration(
            query_parameters=UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
                select=["id", "department"]
            )
        )
    )
    expect("create and patch", read.department, "Measured")
    items, users_link = await delta(client.users.delta, users_link)
    expect("users delta after a change", [item.id for item in items], [made.id])

    group = await client.groups.post(
        Group(
            display_name="Made by the SDK",
            mail_nickname="sdkgroup",
            mail_enabled=False,
            security_enabled=True,
            additional_data={
                "members@odata.bind": [f"{URL}/v1.0/directoryObjects/{some[0]}"]
            },
        )
    )
    members = client.groups.by_group_id(group.id).members
    expect("create with a member", [m.id for m in (await members.get()).value], [some[0]])
    await members.ref.post(
        ReferenceCreate(odata_id=f"{URL}/v1.0/directoryObjects/{made.id}")
    )
    await members.by_directory_object_id(some[0]).ref.delete()
    expect("add and remove members", [m.id for m in (await members.get()).value], [made.id])
    items, _ = await delta(client.groups.delta, groups_link)
    expect("groups delta after a change", [item.id for item in items], [group.id])
    linked = [str(link["id"]) for link in items[0].additional_data["members@delta"]]
    expect("members in the groups delta", made.id in linked, True)

    await client.users.by_user_id(made.id).delete()
    items, users_link = await delta(client.users.delta, users_link)
    reasons = [item.additional_data["@removed"]["reason"] for item in items]
    expect("users delta after a deletion", reasons, ["changed"])
    deleted = await client.directory.deleted_items.graph_user.get()
    expect("deleted items", [item.id for item in deleted.value], [made.id])
    await client.directory.deleted_items.by_directory_object_id(made.id).restore.post(None)
    read = await client.users.by_user_id(made.id).get()
    expect("restore", read.user_principal_name, "sdk@practice.example")
    items, _ = await delta(client.users.delta, users_link)
    expect("users delta after a restore", [item.id for item in items], [made.id])

    policies = await client.identity.conditional_access.policies.get()
    expect(
        "Conditional Access policies",
        sorted(policy.id for policy in policies.value),
        sorted(state["conditionalAccessPolicy"]),
    )

    fault = {"method": "GET", "path": "/groups", "response": {"status": {"code": 429, "retryAfter": "1"}}}
    control("DELETE", "stats")
    control("PUT", "faults", {"queue": [fault]})
    query = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(top=999)
    answer = await client.groups.get(
        request_configuration=RequestConfiguration(query_parameters=query)
    )
    expect("a throttled list", len(answer.value), len(state["group"]) + 1)
    stats = control("GET", "stats")
    expect("the fault was met", stats["faults"], {"status 429": 1})
    expect("Retry-After was kept", stats["violations"], [])

    try:
        await client.users.by_user_id("nobody@practice.example").get()
        raise AssertionError("an unknown user was found")
    except ODataError as error:
        expect("an error", error.error.code, "Request_ResourceNotFound")
    print("done")


asyncio.run(main())
