"""Plays every network source of credentials of the AWS default chain: IMDSv2, ECS and EKS, STS, SSO and its OIDC service.

usage: credentials.py PORT

The key of the source `x` is ASIAX with the secret `x secret` and the session token `x session`.
"""

import datetime
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

HOUR = datetime.timedelta(hours=1)

STS_ANSWER = """\
<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>\
<Arn>arn:aws:sts::123456789012:assumed-role/role/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>\
<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
<Expiration>{end}</Expiration></Credentials></{action}Result></{action}Response>"""


def key(source):
    return {"id": "ASIA" + source.upper(), "secret": source + " secret", "token": source + " session"}


def in_an_hour():
    return datetime.datetime.now(datetime.timezone.utc) + HOUR


def timestamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def document(source):
    """The form that IMDS and ECS share."""
    given = key(source)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": timestamp(in_an_hour() - HOUR),
        "AccessKeyId": given["id"],
        "SecretAccessKey": given["secret"],
        "Token": given["token"],
        "Expiration": timestamp(in_an_hour()),
    }


class Source(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

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
        path = self.path.split("?")[0]
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
        if path == "/ecs":
            if self.headers.get("Authorization") != "ecs token":
                return self.answer(401, {"code": "AccessDenied", "message": "not the token"})
            return self.answer(200, document("ecs"))
        if path == "/federation/credentials":
            if self.headers.get("x-amz-sso_bearer_token") != "sso token":
                return self.answer(401, {"message": "not the token"}, x_amzn_ErrorType="UnauthorizedException")
            given = key("sso")
            return self.answer(200, {"roleCredentials": {
                "accessKeyId": given["id"],
                "secretAccessKey": given["secret"],
                "sessionToken": given["token"],
                "expiration": int(in_an_hour().timestamp() * 1000),
            }})
        return self.answer(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/token":
            return self.answer(200, {"accessToken": "sso token", "expiresIn": 3600, "tokenType": "Bearer", "refreshToken": "next"})
        form = {name: values[0] for name, values in parse_qs(body).items()}
        action = form.get("Action")
        if action == "AssumeRole":
            source = "role"
        elif action == "AssumeRoleWithWebIdentity" and form.get("WebIdentityToken") == "web identity":
            source = "web"
        else:
            return self.answer(400, "")
        return self.answer(200, STS_ANSWER.format(action=action, end=timestamp(in_an_hour()), **key(source)))


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Source) as server:
        print("ready", file=sys.stderr, flush=True)
        server.serve_forever()
