"""Judges RDS IAM tokens as the service does.

Botocore computes the signatures, so that no code of ours judges itself.

usage: verify.py SOCKET POLICY LOG

Listens on a unix socket for a user, NUL, a token, end of input, and answers "1" or "0". POLICY is
read for every login, so that keys can be rotated while it runs. One line a login goes to LOG: what a
client never learns.

Not known from outside, so chosen here: 300 s of clock skew into the future, host names without
regard to case, no raw "+" in the query, the order of the checks.
"""

import datetime
import hmac
import json
import os
import re
import socketserver
import sys
from urllib.parse import quote, unquote, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LIFE = 900
SKEW = datetime.timedelta(seconds=300)


class Refused(Exception):
    """Carries one word for the table and the details."""

    def __init__(self, word, details=""):
        super().__init__(details)
        self.word = word


def parameters(query):
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        # AWS encodes a blank as %20 and would encode a "+" again.
        if "+" in part or re.search(r"%(?![0-9A-Fa-f]{2})", part):
            raise Refused("form", "percent-encoding")
        pairs.append((unquote(name, errors="strict"), unquote(value, errors="strict")))
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("form", "a parameter twice")
    return pairs


def signing_time(text, day):
    if not re.fullmatch(r"\d{8}T\d{6}Z", text) or text[:8] != day:
        raise Refused("form", f"X-Amz-Date {text!r}")
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def signature(netloc, pairs, date, key_id, secret, session_token, region):
    signed = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in signed)
    request = AWSRequest(method="GET", url=f"https://{netloc}/?{query}")
    request.context["timestamp"] = date
    signer = SigV4QueryAuth(Credentials(key_id, secret, session_token), "rds-db", region, LIFE)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def judge(token, user, policy, now):
    """Raises Refused unless the user may come in with this token now."""
    if any(not "\x20" < character < "\x7f" for character in token) or "://" in token.split("?")[0]:
        raise Refused("form", "a token is host:port/?query in plain ASCII")
    url = urlsplit("https://" + token)
    if url.path != "/" or url.fragment:
        raise Refused("form", f"path {url.path!r}")
    if url.netloc.lower() != policy["endpoint"]:
        raise Refused("endpoint", f"{url.netloc!r}, this is {policy['endpoint']!r}")
    pairs = parameters(url.query)
    given = dict(pairs)
    if given.get("Action") != "connect" or given.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        raise Refused("form", "Action or algorithm")
    if given.get("X-Amz-SignedHeaders") != "host":
        raise Refused("form", f"signed headers {given.get('X-Amz-SignedHeaders')!r}")
    if given.get("DBUser") != user:
        raise Refused("user", f"signed for {given.get('DBUser')!r}, login as {user!r}")

    scope = given.get("X-Amz-Credential", "").split("/")
    if len(scope) != 5 or scope[3:] != ["rds-db", "aws4_request"]:
        raise Refused("scope", repr(scope[1:]))
    key_id, day, region = scope[:3]
    if region != policy["region"]:
        raise Refused("region", f"{region!r}, this is in {policy['region']!r}")

    date = given.get("X-Amz-Date", "")
    signed_at = signing_time(date, day)
    # A user of the Java SDK saw longer ones refused:
    # https://github.com/aws/aws-sdk-java/issues/2617
    if given.get("X-Amz-Expires") != str(LIFE):
        raise Refused("form", f"X-Amz-Expires {given.get('X-Amz-Expires')!r}")
    if now >= signed_at + datetime.timedelta(seconds=LIFE):
        raise Refused("expired", f"signed {now - signed_at} ago")
    if signed_at > now + SKEW:
        raise Refused("future", f"signed in {signed_at - now}")

    key = policy["keys"].get(key_id)
    if key is None:
        raise Refused("key", repr(key_id))
    if given.get("X-Amz-Security-Token") != key["session_token"]:
        raise Refused("session token")
    wanted = signature(url.netloc, pairs, date, key_id, key["secret"], key["session_token"], region)
    if not hmac.compare_digest(wanted, given.get("X-Amz-Signature", "")):
        raise Refused("signature")
    if user not in key["users"]:
        raise Refused("policy", f"rds-db:connect is not granted on {user!r}")


class Login(socketserver.StreamRequestHandler):
    def handle(self):
        user, _, token = self.rfile.read().partition(b"\0")
        word, details = "accepted", ""
        try:
            with open(self.server.policy, encoding="utf-8") as file:
                policy = json.load(file)
            ahead = datetime.timedelta(seconds=policy["ahead"])
            now = datetime.datetime.now(datetime.timezone.utc) + ahead
            judge(token.decode("ascii", "surrogateescape"), user.decode(), policy, now)
        except Refused as refused:
            word, details = refused.word, str(refused)
        except Exception as error:  # A mistake here must show as a refusal, not as a server that hangs.
            word, details = "verifier failed", repr(error)
        user = user.decode(errors="replace")
        line = json.dumps({"word": word, "user": user, "length": len(token), "details": details})
        # Before the answer, so that the client finds it there.
        os.write(self.server.log, (line + "\n").encode())
        self.wfile.write(b"1" if word == "accepted" else b"0")


class Verifier(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path, policy, log):
        super().__init__(path, Login)
        os.chmod(path, 0o666)  # The database runs as another user.
        self.policy = policy
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


if __name__ == "__main__":
    with Verifier(*sys.argv[1:]) as verifier:
        print("ready", file=sys.stderr, flush=True)
        verifier.serve_forever()
