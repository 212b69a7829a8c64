"""What went wrong with storage, in one line for people."""

import re

# Patterns in what the file systems say, the most telling first, to what is said instead.
KNOWN = {
    r"NO_SUCH_BUCKET|Bucket '.*' not found|NoSuchBucket|bucket does not exist": (
        "there is no such bucket; create it, or correct --storage"
    ),
    r"ExpiredToken|EXPIRED_TOKEN|TokenRefreshRequired": (
        "the credentials have expired; get new ones (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN), then run the same command again"
    ),
    # The answer to a HEAD request has no body, and so no reason.
    r"HTTP status 400\) during Head\w+ operation": (
        "the request is refused (400), as it is when credentials have expired; get new ones "
        "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN), then run the same "
        "command again"
    ),
    r"INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID|INVALID_SIGNATURE"
    r"|UNRECOGNIZED_CLIENT|MISSING_AUTHENTICATION|InvalidToken"
    r"|UNAUTHENTICATED|OAuth2": (
        "the credentials are refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN (or, for gs://, GOOGLE_APPLICATION_CREDENTIALS)"
    ),
    r"ACCESS_DENIED|PERMISSION_DENIED|HTTP status 403": (
        "access is denied; check the credentials and that they allow to list, read, write and "
        "delete here"
    ),
    r"HTTP status 301|PERMANENT_REDIRECT|located in": (
        "the bucket is in another region; set AWS_REGION"
    ),
    r"curlCode: \d+, (?P<detail>[^;]*)|CURL error \[\d+\]=(?P<reason>.*?) error_info": (
        "the server does not answer ({}); check the network and AWS_ENDPOINT_URL"
    ),
    r"SLOW_DOWN|SlowDown|THROTTLING|TOO_MANY_REQUESTS|HTTP status (429|503)|SERVICE_UNAVAILABLE": (
        "the server is too busy (503), tried again in vain; run the same command again later, "
        "with a lower --max-concurrent if need be"
    ),
    r"INTERNAL_FAILURE|HTTP status 5\d\d|UNAVAILABLE": (
        "the server failed, tried again in vain; run the same command again later"
    ),
    r"Parquet (magic bytes|file size)|page integrity|ecompression failed|page header|thrift": (
        "is damaged; delete it, then run the study's command again, which makes it anew"
    ),
    r"No space left on device|[Qq]uota exceeded": "no space is left; make room, then run it again",
    r"Permission denied|Read-only file system": (
        "it may not be written; check its permissions, or choose another --storage"
    ),
}


def describe_trouble(error: BaseException, where: str) -> str:
    """One line: where, what, and what to do about it."""
    said = str(error)
    for pattern, line in KNOWN.items():
        found = re.search(pattern, said, re.DOTALL)
        if found:
            details = [text for text in found.groupdict().values() if text]
            return f"{where}: {line.format(*details or [''])}"
    return f"{where}: cannot be used: {said.splitlines()[0] if said else type(error).__name__}"
