// Does with one client of Node what people do with it, at a proxy, and prints what worked.
//
// Usage: proxied.cjs CLIENT HOST PORT USER DATABASE FOLDER; the password is in PROXY_PASSWORD.

'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')

const [client, host, port, user, database, folder] = process.argv.slice(2)
const file = path.join(folder, `${client}.tsv`)
const worked = []

async function step (name, run) {
  try {
    await run()
    worked.push(name)
  } catch (error) {
    console.error(`${client}, ${name}: ${error.message}`)
  }
}

const seconds = count => new Promise(resolve => setTimeout(resolve, 1000 * count))

async function pg () {
  const { Client } = require('pg')
  const password = process.env.PROXY_PASSWORD
  const config = { host, port: Number(port), user, password, database, ssl: false }
  const one = new Client(config)
  await one.connect()
  worked.push('connect')
  const value = async (...query) => Object.values((await one.query(...query)).rows[0])[0]
  await step('query', async () => assert.equal(await value('SELECT 6 * 7'), 42))
  await step('prepared', async () => {
    const text = 'SELECT $1::int * 7'
    for (const n of [1, 7]) assert.equal(await value({ name: 'p', text, values: [n] }), 7 * n)
  })
  await step('copy', async () => {
    const { from, to } = require('pg-copy-streams')
    await one.query('CREATE TEMP TABLE t(id int, name text)')
    const rows = '1\tanna\n2\tbo\n3\tcy\n'
    const write = one.query(from('COPY t FROM STDIN'))
    const written = new Promise((resolve, reject) => write.on('finish', resolve).on('error', reject))
    write.end(rows)
    await written
    let read = ''
    for await (const chunk of one.query(to('COPY t TO STDOUT'))) read += chunk
    assert.equal(read, rows)
  })
  await step('listen', async () => {
    const told = new Promise(resolve => one.once('notification', resolve))
    await one.query('LISTEN c')
    await one.query("NOTIFY c, 'hi'")
    assert.equal((await told).payload, 'hi')
  })
  await step('error', async () => assert.rejects(one.query('SELECT * FROM absent'), { code: '42P01' }))
  await step('cancel', async () => {
    const other = new Client(config)
    await other.connect()
    const slow = one.query('SELECT pg_sleep(30)')
    const refused = assert.rejects(slow, { code: '57014' })
    await seconds(1)
    await other.query('SELECT pg_cancel_backend($1)', [one.processID])
    await refused
    await other.end()
    assert.equal(await value('SELECT 1'), 1)
  })
  await step('big', async () => {
    const { rows } = await one.query("SELECT repeat('x', 1000) AS x FROM generate_series(1, 40000)")
    assert.equal(rows.reduce((sum, row) => sum + row.x.length, 0), 40_000_000)
  })
  await one.end()
}

async function mysql2 () {
  const mysql = require('mysql2/promise')
  const config = { host, port: Number(port), user, password: process.env.PROXY_PASSWORD, database }
  const one = await mysql.createConnection(config)
  worked.push('connect')
  const value = async (run, ...query) => Object.values((await one[run](...query))[0][0])[0]
  await step('query', async () => assert.equal(await value('query', 'SELECT 6 * 7'), 42))
  await step('prepared', async () => assert.equal(Number(await value('execute', 'SELECT ? * 7', [7])), 49))
  await step('load', async () => {
    fs.writeFileSync(file, '1\tanna\n2\tbo\n3\tcy\n')
    await one.query('CREATE TEMPORARY TABLE t_mysql2(id INT, name TEXT)')
    const sql = `LOAD DATA LOCAL INFILE '${file}' INTO TABLE t_mysql2`
    await one.query({ sql, infileStreamFactory: () => fs.createReadStream(file) })
    assert.equal(await value('query', 'SELECT COUNT(*) FROM t_mysql2'), 3)
  })
  await step('error', async () => assert.rejects(one.query('SELECT * FROM absent'), { errno: 1146 }))
  await step('cancel', async () => {
    const other = await mysql.createConnection(config)
    const begun = Date.now()
    const slow = one.query('SELECT SLEEP(30)').catch(error => assert.equal(error.errno, 1317))
    await seconds(1)
    await other.query(`KILL QUERY ${one.threadId}`)
    await slow
    await other.end()
    assert.ok(Date.now() - begun < 15_000)
    assert.equal(await value('query', 'SELECT 1'), 1)
  })
  await step('big', async () => {
    const sql = Array(4).fill("SELECT REPEAT('x', 10000000) AS x").join(' UNION ALL ')
    const [rows] = await one.query(sql)
    assert.equal(rows.reduce((sum, row) => sum + row.x.length, 0), 40_000_000)
  })
  await one.end()
}

const run = { pg, mysql2 }[client]
run()
  .catch(error => console.error(`${client}: ${error.message}`))
  .finally(() => console.log(worked.join(', ')))
