"""Plays the sources of credentials of the AWS default chain.

These are IMDSv2, ECS and EKS, STS, SSO, and `credential_process`.

usage: credentials.py STATE PORT   serves
       credentials.py STATE        prints what a `credential_process` prints

STATE is read at every request: {"turn": 1, "ends_in": 3600, "down": false, "ahead": 0}. In turn N
the key of the source `x` is ASIAXN with the secret `x secret N` and the session token `x session N`,
good for `ends_in` seconds; `ahead` shifts the clock that the answers carry.
"""

import datetime
import json
import sys
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

STS_ANSWER = """\
<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>\
<Arn>arn:aws:sts::123456789012:assumed-role/role/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>\
<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
<Expiration>{end}</Expiration></Credentials></{action}Result></{action}Response>"""


def state():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def end():
    return now() + datetime.timedelta(seconds=state()["ends_in"])


def timestamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def key(source):
    turn = state()["turn"]
    return {
        "id": f"ASIA{source.upper()}{turn}",
        "secret": f"{source}-secret-{turn}",
        "token": f"{source}-session-{turn}",
    }


def document(source):
    """The form that IMDS and ECS share."""
    given = key(source)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": timestamp(now()),
        "AccessKeyId": given["id"],
        "SecretAccessKey": given["secret"],
        "Token": given["token"],
        "Expiration": timestamp(end()),
    }


def process():
    given = key("process")
    return {
        "Version": 1,
        "AccessKeyId": given["id"],
        "SecretAccessKey": given["secret"],
        "SessionToken": given["token"],
        "Expiration": timestamp(end()),
    }


class Source(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return format_datetime(now() + datetime.timedelta(seconds=state()["ahead"]), usegmt=True)

    def answer(self, status, body, **headers):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        life = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
        if self.path == "/latest/api/token" and life:
            return self.answer(200, "imds token", x_aws_ec2_metadata_token_ttl_seconds=life)
        return self.answer(400, "")

    def do_GET(self):
        path, authorization = self.path.split("?")[0], self.headers.get("Authorization")
        if state()["down"]:
            return self.answer(403, {"code": "Down", "message": "down"})
        if path.startswith("/latest/"):
            # IMDSv1, without a token, is refused.
            if self.headers.get("x-aws-ec2-metadata-token") != "imds token":
                return self.answer(401, "")
            answers = {
                "/latest/meta-data/iam/security-credentials/": "role",
                "/latest/meta-data/iam/security-credentials/role": document("imds"),
                "/latest/meta-data/placement/region": "eu-north-1",
            }
            return self.answer(200, answers[path]) if path in answers else self.answer(404, "")
        # The token of a pod changes while the pod runs.
        tokens = {"/ecs": "ecs token", "/eks": f"eks token {state()['turn']}"}
        if path in tokens:
            if authorization != tokens[path]:
                return self.answer(401, {"code": "AccessDenied", "message": "not the token"})
            return self.answer(200, document(path[1:]))
        if path == "/federation/credentials":
            if self.headers.get("x-amz-sso_bearer_token") != "sso token":
                body = {"message": "not the token"}
                return self.answer(401, body, x_amzn_ErrorType="UnauthorizedException")
            given = key("sso")
            return self.answer(200, {"roleCredentials": {
                "accessKeyId": given["id"],
                "secretAccessKey": given["secret"],
                "sessionToken": given["token"],
                "expiration": int(end().timestamp() * 1000),
            }})
        return self.answer(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        action = form.get("Action")
        if state()["down"]:
            return self.answer(403, "")
        if action == "AssumeRole":
            source = "role"
        elif (action, form.get("WebIdentityToken")) == (
            "AssumeRoleWithWebIdentity",
            f"web identity {state()['turn']}",
        ):
            source = "web"
        else:
            return self.answer(400, "")
        return self.answer(200, STS_ANSWER.format(action=action, end=timestamp(end()), **key(source)))


def serve(port):
    with ThreadingHTTPServer(("127.0.0.1", port), Source) as server:
        print("ready", file=sys.stderr, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(int(sys.argv[2]))
    elif state()["down"]:
        sys.exit("down")
    else:
        print(json.dumps(process()))
