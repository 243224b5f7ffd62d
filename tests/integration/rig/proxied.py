"""Does with one client what people do with it, at a proxy, and prints what worked.

Usage: proxied.py CLIENT HOST PORT USER DATABASE FOLDER; the password is in PROXY_PASSWORD.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

CLIENT, HOST, PORT, USER, DATABASE, FOLDER = sys.argv[1:7]
PORT = int(PORT)
PASSWORD = os.environ["PROXY_PASSWORD"]
ROWS = "1\tanna\n2\tbo\n3\tcy\n"
FILE = os.path.join(FOLDER, f"{CLIENT}.tsv")
BIG_ROWS, BIG_ROW = 40_000, 1_000
PG_BIG = f"SELECT repeat('x', {BIG_ROW}) FROM generate_series(1, {BIG_ROWS})"
MY_VALUE = 10_000_000
MY_BIG = " UNION ALL ".join([f"SELECT REPEAT('x', {MY_VALUE})"] * 4)
worked = []


def step(name, run):
    try:
        run()
        worked.append(name)
    except Exception as error:  # the next step may still work
        print(f"{CLIENT}, {name}: {type(error).__name__}: {error}", file=sys.stderr)


def check(is_so, what):
    if not is_so:
        raise AssertionError(what)


def expect_error(run, *parts):
    try:
        run()
    except Exception as error:
        text = f"{error!r} {error} {getattr(error, 'sqlstate', '')} {getattr(error, 'pgcode', '')}"
        check(all(part in text for part in parts), text)
        return
    raise AssertionError("no error")


def ended_early(run):
    begun = time.monotonic()
    run()
    check(time.monotonic() - begun < 15, "was not cancelled")


def program(arguments, text=None, after=None):
    """Runs a program, with an interrupt after a while, and returns its status and what it said."""
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    variables |= {"PGPASSWORD": PASSWORD, "MYSQL_PWD": PASSWORD}
    child = subprocess.Popen(arguments, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    if after:
        threading.Timer(after, lambda: child.send_signal(signal.SIGINT)).start()
    out, err = child.communicate(text, timeout=60)
    return child.returncode, out, err


def psql():
    name = os.environ.get("PSQL", "psql")
    base = [name, "-X", "-At", "-v", "ON_ERROR_STOP=1"]
    base += ["-h", HOST, "-p", str(PORT), "-U", USER, "-d", DATABASE]

    def run(sql, after=None):
        status, out, err = program(base, sql, after)
        if status:
            raise RuntimeError(err)
        return out

    step("connect", lambda: run("SELECT 1;"))
    step("query", lambda: check(run("SELECT 6 * 7;") == "42\n", "42"))
    step("prepared", lambda: check("49\n" in run("PREPARE p(int) AS SELECT $1 * 7; EXECUTE p(7);"), "49"))
    step("copy", lambda: check("3\n" in run(
        f"CREATE TEMP TABLE t(id int, name text);\n\\copy t FROM '{FILE}'\n"
        f"SELECT count(*) FROM t;\n\\copy t TO '{FILE}.out'\n"
    ) and open(FILE + ".out").read() == ROWS, "3 rows"))
    notified = "Asynchronous notification"
    told = lambda: notified in run("LISTEN c; NOTIFY c, 'hi'; SELECT 1;")
    # Notifications of other sessions that are not committed yet may hold it back.
    step("listen", lambda: check(any(told() for _ in range(20)), "told"))
    absent = "\\set VERBOSITY verbose\nSELECT * FROM absent;"
    step("error", lambda: expect_error(lambda: run(absent), "42P01"))
    step("cancel", lambda: ended_early(
        lambda: expect_error(lambda: run("SELECT pg_sleep(30);", after=1.5), "canceling statement")))
    step("big", lambda: check(len(run(PG_BIG + ";")) == BIG_ROWS * (BIG_ROW + 1), "all of it"))


def mariadb():
    base = ["mariadb", "--no-defaults", "-N", "-B", "--skip-ssl", "-h", HOST, "-P", str(PORT), "-u", USER,
            "--local-infile=1"]

    def run(sql, after=None, more=()):
        status, out, err = program(base + list(more) + [DATABASE], sql, after)
        if status:
            raise RuntimeError(err)
        return out

    step("connect", lambda: run("SELECT 1"))
    step("query", lambda: check(run("SELECT 6 * 7", more=["--compress"]) == "42\n", "42"))
    prepared = "PREPARE p FROM 'SELECT ? * 7'; SET @a = 7; EXECUTE p USING @a;"
    step("prepared", lambda: check(run(prepared) == "49\n", "49"))
    step("load", lambda: check(run(
        f"CREATE TEMPORARY TABLE t_cli(id INT, name TEXT); LOAD DATA LOCAL INFILE '{FILE}' INTO TABLE t_cli;"
        "SELECT COUNT(*) FROM t_cli;") == "3\n", "3 rows"))
    step("error", lambda: expect_error(lambda: run("SELECT * FROM absent"), "1146"))
    sleep = base + ["-e", "SELECT SLEEP(30)", DATABASE]
    step("cancel", lambda: ended_early(lambda: program(sleep, after=1.5)))
    large = ["--max-allowed-packet=64M"]
    step("big", lambda: check(len(run(MY_BIG, more=large)) == 4 * (MY_VALUE + 1), "all of it"))


def psycopg(module, copy):
    def connect():
        return module.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE)

    one = connect()
    one.autocommit = True
    cursor = one.cursor()
    worked.append("connect")

    def value(sql, *values):
        cursor.execute(sql, *values)
        return cursor.fetchone()[0]

    step("query", lambda: check(value("SELECT 6 * 7") == 42, "42"))
    if copy == 3:
        step("prepared", lambda: check([cursor.execute("SELECT %s::int * 7", (n,), prepare=True).fetchone()[0]
                                        for n in (1, 7)] == [7, 49], "49"))
    else:
        cursor.execute("PREPARE p(int) AS SELECT $1 * 7")
        step("prepared", lambda: check(value("EXECUTE p(%s)", (7,)) == 49, "49"))

    def load():
        cursor.execute("CREATE TEMP TABLE t(id int, name text)")
        if copy == 3:
            with cursor.copy("COPY t FROM STDIN") as data:
                data.write(ROWS)
            with cursor.copy("COPY t TO STDOUT") as data:
                check(b"".join(data).decode() == ROWS, "the same rows")
        else:
            with open(FILE) as rows:
                cursor.copy_expert("COPY t FROM STDIN", rows)
            with open(FILE + ".out", "w") as rows:
                cursor.copy_expert("COPY t TO STDOUT", rows)
            check(open(FILE + ".out").read() == ROWS, "the same rows")

    step("copy", load)

    def listen():
        heard = []
        if copy == 3:
            # Not by `notifies()`, which may miss what comes with the answer to a statement.
            one.add_notify_handler(lambda note: heard.append(note.payload))
        cursor.execute("LISTEN c")
        cursor.execute("NOTIFY c, 'hi'")
        # PostgreSQL holds a notification back while an earlier one of any other session is not
        # committed yet, and drivers take it up with the answer to a statement.
        deadline = time.monotonic() + 20
        while not heard and time.monotonic() < deadline:
            cursor.execute("SELECT 1")
            if copy != 3:
                one.poll()
                heard.extend(note.payload for note in one.notifies)
        # Other clients, which run beside this one, notify the same channel.
        check("hi" in heard, "told")

    step("listen", listen)
    step("error", lambda: expect_error(lambda: cursor.execute("SELECT * FROM absent"), "42P01"))

    def cancel():
        threading.Timer(1, one.cancel).start()
        ended_early(lambda: expect_error(lambda: cursor.execute("SELECT pg_sleep(30)"), "57014"))
        check(value("SELECT 1") == 1, "usable")

    step("cancel", cancel)

    def big():
        cursor.execute(PG_BIG)
        check(sum(len(row[0]) for row in cursor) == BIG_ROWS * BIG_ROW, "all of it")

    step("big", big)


async def asyncpg():
    import asyncpg as module

    one = await module.connect(
        host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, ssl=False)
    worked.append("connect")

    async def attempt(name, run):
        try:
            await run()
            worked.append(name)
        except Exception as error:
            print(f"{CLIENT}, {name}: {type(error).__name__}: {error}", file=sys.stderr)

    async def query():
        check(await one.fetchval("SELECT 6 * 7") == 42, "42")

    async def prepared():
        check(await (await one.prepare("SELECT $1::int * 7")).fetchval(7) == 49, "49")

    async def copy():
        await one.execute("CREATE TEMP TABLE t(id int, name text)")
        await one.copy_to_table("t", source=FILE)
        await one.copy_from_table("t", output=FILE + ".out")
        check(open(FILE + ".out").read() == ROWS, "the same rows")

    async def listen():
        told = asyncio.get_running_loop().create_future()
        await one.add_listener("c", lambda *note: told.set_result(note[3]))
        await one.execute("NOTIFY c, 'hi'")
        check(await asyncio.wait_for(told, 5) == "hi", "told")

    async def error():
        try:
            await one.execute("SELECT * FROM absent")
        except module.UndefinedTableError as error:
            check(error.sqlstate == "42P01", error.sqlstate)
            return
        raise AssertionError("no error")

    async def cancel():
        begun = time.monotonic()
        try:
            await one.execute("SELECT pg_sleep(30)", timeout=1)
        except TimeoutError:
            pass
        check(await one.fetchval("SELECT 1") == 1 and time.monotonic() - begun < 15, "usable")

    async def big():
        check(sum(len(row[0]) for row in await one.fetch(PG_BIG)) == BIG_ROWS * BIG_ROW, "all of it")

    for name, run in [("query", query), ("prepared", prepared), ("copy", copy), ("listen", listen),
                      ("error", error), ("cancel", cancel), ("big", big)]:
        await attempt(name, run)


def mysql(connect, prepared, thread):
    one = connect()
    cursor = one.cursor()
    worked.append("connect")

    def value(sql, values=None):
        cursor.execute(sql, values)
        return cursor.fetchall()[0][0]

    step("query", lambda: check(value("SELECT 6 * 7") == 42, "42"))
    step("prepared", lambda: check(int(prepared(one, value)) == 49, "49"))

    def load():
        cursor.execute(f"CREATE TEMPORARY TABLE t_{CLIENT}(id INT, name TEXT)")
        cursor.execute(f"LOAD DATA LOCAL INFILE '{FILE}' INTO TABLE t_{CLIENT}")
        check(value(f"SELECT COUNT(*) FROM t_{CLIENT}") == 3, "3 rows")

    step("load", load)
    step("error", lambda: expect_error(lambda: cursor.execute("SELECT * FROM absent"), "1146"))

    def cancel():
        def kill():
            other = connect()
            other.cursor().execute(f"KILL QUERY {thread(one)}")

        threading.Timer(1, kill).start()
        # Interrupted, SLEEP is an error here and the value 1 there.
        try:
            ended_early(lambda: value("SELECT SLEEP(30)"))
        except AssertionError:
            raise
        except Exception as error:
            check("1317" in repr(error) + str(error), repr(error))
        check(value("SELECT 1") == 1, "usable")

    step("cancel", cancel)

    def big():
        cursor.execute(MY_BIG)
        check(sum(len(row[0]) for row in cursor.fetchall()) == 4 * MY_VALUE, "all of it")

    step("big", big)


def pymysql():
    import pymysql as module

    def connect():
        return module.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE,
                              ssl_disabled=True, local_infile=True, autocommit=True)

    def prepared(one, value):
        # It has none of its own.
        one.cursor().execute("PREPARE p FROM 'SELECT ? * 7'")
        one.cursor().execute("SET @a = 7")
        return value("EXECUTE p USING @a")

    mysql(connect, prepared, lambda one: one.thread_id())


def connector():
    import mysql.connector as module

    def connect():
        return module.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE,
                              use_pure=True, ssl_disabled=True, allow_local_infile=True,
                              autocommit=True, charset="utf8mb4",
                              collation="utf8mb4_general_ci")

    def prepared(one, _):
        cursor = one.cursor(prepared=True)
        cursor.execute("SELECT ? * 7", (7,))
        return cursor.fetchall()[0][0]

    mysql(connect, prepared, lambda one: one.connection_id)


def main():
    with open(FILE, "w") as rows:
        rows.write(ROWS)
    if CLIENT == "psql":
        psql()
    elif CLIENT == "psycopg2":
        import psycopg2
        psycopg(psycopg2, 2)
    elif CLIENT == "psycopg":
        import psycopg as module
        psycopg(module, 3)
    elif CLIENT == "asyncpg":
        asyncio.run(asyncpg())
    elif CLIENT == "mariadb":
        mariadb()
    elif CLIENT == "pymysql":
        pymysql()
    elif CLIENT == "connector":
        connector()


try:
    main()
except Exception as error:
    print(f"{CLIENT}: {type(error).__name__}: {error}", file=sys.stderr)
print(", ".join(worked))
