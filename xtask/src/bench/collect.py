"""Reads a tenant with Microsoft's own SDK, as people do today, and prints what it managed as JSON.

Arguments: the simulator's URL, the tenant's id, the client id and the secret of its reader, and the
seconds after which it stops. Eight workers share the lists and then the links of each object.
"""

import asyncio
import json
import os
import resource
import sys
import time
import urllib.parse
import urllib.request

import httpx
from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient

URL, TENANT, APP, SECRET = sys.argv[1:5]
SECONDS = float(sys.argv[5])
WORKERS = 8
USER = (
    "id accountEnabled ageGroup assignedLicenses businessPhones city companyName"
    " consentProvidedForMinor country createdDateTime creationType deletedDateTime department"
    " displayName employeeHireDate employeeId employeeOrgData employeeType externalUserState"
    " externalUserStateChangeDateTime faxNumber givenName identities imAddresses isResourceAccount"
    " jobTitle lastPasswordChangeDateTime legalAgeGroupClassification mail mailNickname mobilePhone"
    " officeLocation onPremisesDistinguishedName onPremisesDomainName"
    " onPremisesExtensionAttributes onPremisesImmutableId onPremisesLastSyncDateTime"
    " onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesSyncEnabled"
    " onPremisesUserPrincipalName otherMails passwordPolicies postalCode preferredDataLocation"
    " preferredLanguage proxyAddresses securityIdentifier showInAddressList"
    " signInSessionsValidFromDateTime state streetAddress surname usageLocation"
    " userPrincipalName userType"
).split()


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


async def persist(ask):
    """Asks again over a new connection where the old one was closed while the SDK was parsing."""
    for _ in range(WORKERS):
        try:
            return await ask()
        except httpx.TransportError:
            continue
    return await ask()


class Reader:
    """Reads lists page by page; what it finds there is asked for its links."""

    def __init__(self, client):
        self.client = client
        self.queue = asyncio.Queue()
        self.objects = 0
        self.links = 0

    async def pages(self, builder, parameters=None):
        configuration = RequestConfiguration(query_parameters=parameters)
        page = await persist(lambda: builder.get(request_configuration=configuration))
        while True:
            yield page.value
            link = page.odata_next_link
            if not link:
                return
            page = await persist(lambda: builder.with_url(link).get())

    async def list(self, builder, parameters=None, relations=()):
        async for items in self.pages(builder, parameters):
            self.objects += len(items)
            for item in items:
                for relation in relations:
                    self.queue.put_nowait(self.linked(relation(item.id)))

    async def linked(self, builder):
        query = builder.__class__.__name__ + "GetQueryParameters"
        parameters = getattr(builder.__class__, query)(select=["id"], top=999)
        async for items in self.pages(builder, parameters):
            self.links += len(items)

    async def work(self):
        while True:
            task = await self.queue.get()
            await task
            self.queue.task_done()

    def start(self):
        client = self.client
        lists = [
            (client.users, USER, ()),
            (
                client.groups,
                None,
                (
                    lambda id: client.groups.by_group_id(id).members,
                    lambda id: client.groups.by_group_id(id).owners,
                ),
            ),
            (
                client.applications,
                None,
                (lambda id: client.applications.by_application_id(id).owners,),
            ),
            (
                client.service_principals,
                None,
                (lambda id: client.service_principals.by_service_principal_id(id).owners,),
            ),
        ]
        for builder, select, relations in lists:
            query = builder.__class__.__name__ + "GetQueryParameters"
            parameters = getattr(builder.__class__, query)(select=select, top=999)
            self.queue.put_nowait(self.list(builder, parameters, relations))
        conditional = client.identity.conditional_access
        for builder in (conditional.policies, conditional.named_locations):
            self.queue.put_nowait(self.list(builder))


async def main():
    adapter = GraphRequestAdapter(
        AzureIdentityAuthenticationProvider(
            Credential(),
            scopes=["https://graph.microsoft.com/.default"],
            allowed_hosts=["127.0.0.1"],
        )
    )
    adapter.base_url = f"{URL}/v1.0"
    reader = Reader(GraphServiceClient(request_adapter=adapter))
    # What importing took is no part of the reading.
    start, cpu = time.monotonic(), time.process_time()
    reader.start()
    workers = [asyncio.create_task(reader.work()) for _ in range(WORKERS)]
    done = asyncio.create_task(reader.queue.join())
    ended, _ = await asyncio.wait(
        [done, *workers], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    for task in ended:
        task.result()
    managed = {
        "seconds": time.monotonic() - start,
        "cpu": time.process_time() - cpu,
        "objects": reader.objects,
        "links": reader.links,
        "complete": done.done(),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(managed))
    sys.stdout.flush()
    # What is still under way is not awaited.
    os._exit(0)


asyncio.run(main())
