"""Prints a token by botocore, as `aws rds generate-db-auth-token` does.

usage: sign.py HOST PORT USER REGION, the key from AWS_*.
"""

import sys

import botocore.session

host, port, user, region = sys.argv[1:]
client = botocore.session.Session().create_client("rds", region_name=region)
print(client.generate_db_auth_token(host, int(port), user))
