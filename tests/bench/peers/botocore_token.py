"""Prints the median nanoseconds of one RDS token by botocore, without and with a session token."""

import sys
import time

try:
    from botocore.session import Session
except ImportError:
    sys.exit(print("botocore is not installed (pip install botocore)") or 1)

host, port, user, region, session_token = sys.argv[1:]


def signer(token):
    session = Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret", token)
    client = session.create_client("rds", region_name=region)
    return lambda: client.generate_db_auth_token(host, int(port), user)


signers = [signer(None), signer(session_token)]
turns = [[], []]
for turn in range(201):
    for sign, took in zip(signers, turns):
        start = time.perf_counter_ns()
        for _ in range(10):
            sign()
        # The first turns warm up.
        if turn > 40:
            took.append((time.perf_counter_ns() - start) / 10)
print(*(sorted(took)[len(took) // 2] for took in turns))
