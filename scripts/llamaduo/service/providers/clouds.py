"""Services in Google's and Amazon's clouds: their project, location and credentials, which are more than an API key.

Nothing here sends a request but the looking for credentials itself, which asks the cloud's own machines who they are.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

from llamaduo.config.services import ServiceSettings
from llamaduo.config.vendors import WITH_LOCATION, WITH_PROJECT
from llamaduo.service.interface import Rejected, Transient

PROJECT_VARIABLE = "GCP_PROJECT_ID"
LOCATION_VARIABLES = {
    "anthropic-vertex": ("GCP_LOCATION",),
    "gemini-vertex": ("GCP_LOCATION",),
    "anthropic-bedrock": ("AWS_LOCATION", "AWS_REGION", "AWS_DEFAULT_REGION"),
}
SIMULATED_PLACE = "simulated"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def project_of(service: ServiceSettings) -> str | None:
    """The project that the settings or the environment name; None leaves it to the credentials."""
    named = service.project or os.environ.get(PROJECT_VARIABLE, "").strip() or None
    return named or (SIMULATED_PLACE if service.is_simulated else None)


def location_of(service: ServiceSettings) -> str | None:
    """The location or region that the settings or the environment name; None when there is none."""
    variables = LOCATION_VARIABLES.get(service.provider, ())
    named = (service.location, *(os.environ.get(variable, "").strip() for variable in variables))
    found = next((name for name in named if name), None)
    return found or (SIMULATED_PLACE if service.is_simulated else None)


def missing(service: ServiceSettings, key: str | None) -> Iterator[str]:
    """What a service in a cloud lacks, in words that say what to set. `key`: the token or API key that was given."""
    if service.is_simulated or service.provider not in WITH_LOCATION:
        return
    if location_of(service) is None:
        variables = " or ".join(LOCATION_VARIABLES[service.provider])
        yield f"no location for {service.provider}: set `location`, or the environment variable {variables}"
    if service.provider in WITH_PROJECT:
        project = project_of(service)
        if key is None:
            # One's own variable is the only one to look at.
            found = None if service.api_key_variable else _found_google_credentials()
            if found is None:
                yield (
                    f"no Google credentials for {service.provider}: run `gcloud auth application-default login`, or "
                    "set the environment variable GOOGLE_APPLICATION_CREDENTIALS to a key file, or "
                    f"{service.api_key_variable or 'GCP_ACCESS_TOKEN'} to an access token"
                )
            else:
                project = project or found[1]
        if project is None:
            yield f"no project for {service.provider}: set `project`, or the environment variable {PROJECT_VARIABLE}"
    elif key is None and (service.api_key_variable or not _has_amazon_credentials()):
        yield (
            f"no AWS credentials for {service.provider}: set the environment variable "
            f"{service.api_key_variable or 'AWS_BEARER_TOKEN_BEDROCK'} to a Bedrock API key, or configure AWS as usual "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
        )


def google_credentials(service: ServiceSettings, key: str | None) -> tuple[Any, str]:
    """The credentials (google.auth) and the project of a service on Vertex AI; `key` is an access token, if given.

    `missing` has made sure that there are some. A token that was given is used as it is, and never refreshed.
    """
    project = project_of(service)
    if key is not None:
        from google.oauth2.credentials import Credentials

        return Credentials(token=key), project or ""
    credentials, own_project = _found_google_credentials() or (None, None)
    return credentials, project or own_project or ""


class AccessToken:
    """The token of Google's credentials, refreshed when it runs out: in a thread, and once for all who wait for it."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._refreshing = asyncio.Lock()

    async def get(self) -> str:
        """A token that is valid now. Raises `Transient` or `Rejected` when Google gives none."""
        async with self._refreshing:
            if self._credentials.expired or not self._credentials.token:
                from google.auth.exceptions import GoogleAuthError
                from google.auth.transport.requests import Request

                try:
                    await asyncio.to_thread(self._credentials.refresh, Request())
                except GoogleAuthError as error:
                    raise no_token(error) from error
            return str(self._credentials.token)


def no_token(error: Exception) -> Transient | Rejected:
    """What it means that Google gave no access token."""
    from google.auth.exceptions import TransportError

    words = " ".join(str(error.args[0] if error.args else error).split())[:300]
    if isinstance(error, TransportError) or getattr(error, "retryable", False):
        return Transient(f"no access token: {words}")
    return Rejected(f"Google does not accept the credentials ({words}); run `gcloud auth application-default login`")


def _found_google_credentials() -> tuple[Any, str | None] | None:
    """The credentials that Google's tools left or set up on this machine, and their project."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        credentials, project = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError:
        return None
    return credentials, project


def _has_amazon_credentials() -> bool:
    """Whether the usual chain of AWS (variables, files, the machine's role) gives any."""
    import botocore.session

    return botocore.session.Session().get_credentials() is not None
