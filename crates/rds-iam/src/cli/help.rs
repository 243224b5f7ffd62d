//! The longer texts of `--help`, in lines that fit a terminal of 80 columns.

pub(super) const EXAMPLES: &str = "\
Examples:
  PGPASSWORD=\"$(rds-iam token \\
      --host db.abc123.us-east-2.rds.amazonaws.com --user jane)\" \\
    psql 'host=db.abc123.us-east-2.rds.amazonaws.com user=jane dbname=app
          sslmode=verify-full sslrootcert=global-bundle.pem'

  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane \\
    --sslrootcert global-bundle.pem -- psql app

  rds-iam doctor 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app'

  rds-iam inspect db.cluster-ro-abc123.us-east-2.rds.amazonaws.com

Credentials come from the AWS default chain: environment, profile, SSO, web
identity, ECS, EC2.

Exit codes:
  0  done
  1  failed
  2  wrong usage, or a wrong value
  doctor and exec have more: see their --help";

pub(super) const TOKEN_EXAMPLES: &str = "\
Examples:
  PGPASSWORD=\"$(rds-iam token \\
      --host db.abc123.us-east-2.rds.amazonaws.com --user jane)\" psql …
  eval \"$(rds-iam token --url \"$DATABASE_URL\" --format env)\"
  rds-iam token --engine mysql \\
    --host db.abc123.us-east-2.rds.amazonaws.com --user jane
  rds-iam token --service dsql --user admin \\
    --host foo0bar1baz2quux3quuux4abc.dsql.us-east-1.on.aws
  REDISCLI_AUTH=\"$(rds-iam token --service elasticache \\
      --name orders --user jane --region us-east-2)\" redis-cli --tls …
  rds-iam token --service msk --region us-east-2
  rds-iam token --service eks --name blue --region us-east-2

A token is a password: anyone who has it can log in for 15 minutes (eks: 1
minute), or until the credentials that signed it expire.

Exit codes:
  0  a token was printed
  1  no credentials, or no token
  2  wrong usage, or a wrong value";

#[cfg(unix)]
pub(super) const EXEC_EXAMPLES: &str = "\
Examples:
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane \\
    --sslrootcert global-bundle.pem -- psql app
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane \\
    --sslrootcert global-bundle.pem -- mysqldump --single-transaction app
  rds-iam exec --url \"$DATABASE_URL\" --hostaddr 127.0.0.1 -- pg_dump app
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com \\
    --secret-id prod/app --secret-region us-east-2 -- psql app
  rds-iam exec --url \"$DATABASE_URL\" --url-env DATABASE_URL -- \\
    sqlx migrate run
  rds-iam exec --url 'mysql://jane@db.abc123.us-east-2.rds.amazonaws.com/app' \\
    --sslrootcert global-bundle.pem -- nice mysql {defaults-file} app

The client replaces rds-iam: exit code, signals and terminal are its own.

PostgreSQL clients, and every other program, get PGHOST, PGPORT, PGUSER,
PGPASSWORD, PGDATABASE, PGSSLMODE=verify-full, PGGSSENCMODE=disable and
PGSSLROOTCERT; without --sslrootcert and PGSSLROOTCERT that is `system`, which
needs libpq 16. The client's own arguments win over these: name
no sslmode there. The environment of a process can be read by its own user and
by root (on Linux in /proc/PID/environ), and programs that the client starts
inherit it.

The clients of MySQL and MariaDB (mysql, mysqldump, mariadb, mariadb-dump, …)
get --defaults-file with host, port, user, password and verified TLS: a pipe
that only they have, so ~/.my.cnf does not count. They need --sslrootcert.
Tokens of 4,000 bytes and more, which these clients would cut, and passwords
with a quote go into MYSQL_PWD. For another program that starts such a client,
write {defaults-file} where the client's --defaults-file belongs.

--url-env gives a tool that takes nothing else a URL with the token in it, in
its environment alone. A tool for MySQL other than diesel needs --url-query,
the parameters that make it verify TLS; sqlx cannot send a token to MySQL, and
works through rds-iam proxy.

The token is good for opening connections for 15 minutes; an open connection
stays. With --secret-id, or secretId in the URL, user and password of a secret
take its place.

Exit codes:
  the client's own; 126 it cannot be run, 127 it was not found,
  1 no credentials, or no token, 2 wrong usage, or a wrong value";

#[cfg(unix)]
pub(super) const PROXY_EXAMPLES: &str = "\
Examples:
  rds-iam proxy --listen 6432 \\
    'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app'
  rds-iam proxy --listen /run/db --allow-uid 1001 \"$DATABASE_URL\"
  rds-iam proxy --config /etc/rds-iam/proxy.toml
  rds-iam proxy --admin 127.0.0.1:9090 --wait-ready

A file:
  admin = \"127.0.0.1:9090\"
  local-password-file = \"/etc/rds-iam/local-password\"

  [[target]]
  name = \"orders\"
  url = \"postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/orders\"
  listen = [\"6432\", \"/run/rds-iam/orders\"]

  [[target]]
  name = \"sales\"
  host = \"db.cluster-abc123.us-east-2.rds.amazonaws.com\"
  user = \"jane\"
  plugins = [\"iam\", \"failover2\"]
  listen = \"6433\"

Clients log in as the target's user, without TLS; the connection to the server
uses verified TLS. A Unix socket serves the account that runs the proxy, and
those that --allow-uid and --allow-gid name, without a password. A port can be
reached by every account of the machine and asks for the local password.

SIGTERM and Ctrl-C stop accepting clients and wait for the sessions; a second
one cuts them. Under systemd (Type=notify) the proxy reports when it is ready.

Exit codes:
  0  ended by a signal, or ready (--wait-ready)
  1  a login at the start failed, an address is taken, or not ready in time
  2  wrong usage, or a wrong value";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  rds-iam doctor 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app'
  rds-iam doctor --host db.abc123.us-east-2.rds.amazonaws.com --user jane \\
    --engine mysql --sslrootcert global-bundle.pem --sts
  rds-iam doctor --dns-server 10.0.0.2 'postgres://jane@db.example.com/app'
  DATABASE_URL=postgres://… rds-iam doctor
  rds-iam doctor --json - <url.txt

Steps: parameters, host, dns, credentials, clock, tcp, tls, login, and secret
where the URL has secretId; each is ok, warning, failed or skipped, and appears
as it ends. After a refusal MySQL is asked once more, without any password, how
it wants this user's: that too counts as a failed login.

Exit codes:
  0    logged in
  2    wrong usage, or nothing to examine
  else the first step that failed:
  10   parameters    11   host    12   dns    13   credentials
  14   tcp           15   tls     16   login   17   secret
  130  interrupted";
