// tests/clients/node/checks.js — what every client from npm is asked to do, whichever it is.
//
// A client is an object with these functions (kafkajs.js and platformatic.js make one each); all of
// them return promises, offsets and times are numbers, keys and values Buffers or null:
//   createTopic(topic, partitions)
//   produce(topic, records, {codec, idempotent})   records: {partition, key, value, headers, timestamp}
//   offset(topic, partition, 'earliest' | 'latest' | milliseconds)    -1: there is none
//   fetch(topic, partition, offset)     one fetch: records with offset and headers as [[name, value]]
//   createPartitions(topic, count), partitions(topic)
//   setConfig(topic, name, value), config(topic, name), deleteRecords(topic, partition, offset)
//   close()
// and `codecs`, the compressions it can write.
//
//   node kafkajs.js checks HOST:PORT PREFIX       `ok NAME` or `FAILED NAME: reason` per check
//   node kafkajs.js reconnect HOST:PORT TOPIC     says `half` and expects to be cut off then
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

const SECONDS = 30
const same = assert.deepEqual
let client, prefix

async function create(word, partitions = 1) {
  const topic = `${prefix}-${word}`
  await client.createTopic(topic, partitions)
  return topic
}

// Record i: a key from few, a value of 20 to 3,000 bytes with its number in front.
function record(i, partition = 0) {
  const value = Buffer.alloc(20 + ((i * 37) % 3000), 97 + (i % 26))
  value.write(`value ${i} `)
  return { partition, key: Buffer.from(`key${i % 7}`), value }
}

const numbered = (first, last) => Array.from({ length: last - first }, (_, i) => record(first + i))

// Everything from an offset to the end that the partition has now.
async function readToEnd(topic, partition, from) {
  const end = await client.offset(topic, partition, 'latest')
  const found = []
  const limit = Date.now() + SECONDS * 1000
  for (let next = from; next < end;) {
    assert(Date.now() < limit, `no record ${next} of ${end} in time`)
    const records = await client.fetch(topic, partition, next)
    found.push(...records)
    if (records.length > 0) next = records.at(-1).offset + 1
  }
  return found
}

function expectNumbered(found, first, last) {
  same(found.length, last - first, `records from ${first}`)
  found.forEach((r, i) => {
    const wanted = record(first + i)
    same(r.offset, first + i)
    assert(wanted.key.equals(r.key), `key at offset ${r.offset}: ${r.key}`)
    assert(wanted.value.equals(r.value), `value at offset ${r.offset}`)
  })
}

async function codec(name) {
  const topic = await create(name)
  for (let i = 0; i < 1000; i += 250) await client.produce(topic, numbered(i, i + 250), { codec: name })
  expectNumbered(await readToEnd(topic, 0, 0), 0, 1000)
}

async function idempotent() {
  const topic = await create('idempotent', 4)
  for (let i = 0; i < 400; i += 40) {
    const records = numbered(i, i + 40).map((r, k) => ({ ...r, partition: (i + k) % 4 }))
    await client.produce(topic, records, { idempotent: true })
  }
  for (let p = 0; p < 4; p++) {
    const found = await readToEnd(topic, p, 0)
    same(found.length, 100, `records of partition ${p}`)
    found.forEach((r, i) => assert(record(p + i * 4).value.equals(r.value), `partition ${p} offset ${i}`))
  }
}

async function positions() {
  const topic = await create('positions', 2)
  const base = Date.now() - 3_600_000      // older records would fall to retention
  await client.produce(topic, numbered(0, 500).map((r, i) => ({ ...r, timestamp: base + i * 100 })))
  same(await client.offset(topic, 0, 'earliest'), 0, 'earliest')
  same(await client.offset(topic, 0, 'latest'), 500, 'latest')
  same(await client.offset(topic, 1, 'latest'), 0, 'latest of an empty partition')
  expectNumbered(await readToEnd(topic, 0, await client.offset(topic, 0, 'earliest')), 0, 500)
  expectNumbered(await readToEnd(topic, 0, 321), 321, 500)
  const at = await client.offset(topic, 0, base + 4250)
  same(at, 43, 'offset for a time')
  const found = await readToEnd(topic, 0, at)
  same(found[0].timestamp, base + 4300, 'its time')
  expectNumbered(found, 43, 500)
  same(await client.fetch(topic, 0, 500), [], 'at the end')
  const waiting = client.fetch(topic, 0, 500)     // is woken by what is written now
  await client.produce(topic, [record(500)])
  const woken = await waiting
  expectNumbered(woken.length > 0 ? woken : await readToEnd(topic, 0, 500), 500, 501)
}

async function headers() {
  const topic = await create('headers')
  const when = Date.now() - 60_000
  await client.produce(topic, [
    { partition: 0, key: null, value: null, timestamp: when, headers: { a: Buffer.from([0, 255, 127]), b: Buffer.from('') } },
    { partition: 0, key: Buffer.from(''), value: Buffer.from(''), timestamp: when + 1, headers: {} }
  ])
  const found = await readToEnd(topic, 0, 0)
  same(found.length, 2)
  same([found[0].key, found[0].value, found[0].timestamp], [null, null, when])
  same(found[0].headers.map(([name, value]) => [name, value.toString('hex')]), [['a', '00ff7f'], ['b', '']])
  same([found[1].key.length, found[1].value.length, found[1].timestamp], [0, 0, when + 1])
}

async function large() {
  const topic = await create('large')
  const value = Buffer.alloc(1_000_000)
  for (let i = 0; i < value.length; i += 4) value.writeUInt32LE((i * 2654435761) >>> 0, i)
  await client.produce(topic, [{ partition: 0, key: null, value }])
  await assert.rejects(client.produce(topic, [{ partition: 0, key: null, value: Buffer.alloc(2_000_000) }]),
                       '2 MB were accepted')
  await client.produce(topic, [{ partition: 0, key: null, value: Buffer.from('after') }])
  const found = await readToEnd(topic, 0, 0)
  same(found.map(r => r.value.length), [1_000_000, 5])
  assert(found[0].value.equals(value), 'the large record changed')
}

async function administer() {
  const topic = await create('altered')
  await client.createPartitions(topic, 3)
  same(await client.partitions(topic), 3, 'partitions')
  await client.setConfig(topic, 'max.message.bytes', '2000')
  same(await client.config(topic, 'max.message.bytes'), '2000')
  await assert.rejects(client.produce(topic, [{ partition: 0, key: null, value: Buffer.alloc(3000) }]))
  await client.produce(topic, [record(0)])
}

async function deleteRecords() {
  const topic = await create('trimmed')
  await client.produce(topic, numbered(0, 100))
  await client.deleteRecords(topic, 0, 40)
  same(await client.offset(topic, 0, 'earliest'), 40, 'earliest')
  expectNumbered(await readToEnd(topic, 0, 40), 40, 100)
}

const CHECKS = {
  'from the beginning, the end, an offset, a time; a wait at the end': positions,
  'headers, null and empty key and value, timestamps': headers,
  'a record of 1 MB, one too large': large,
  'idempotent producer': idempotent,
  'Admin adds partitions, changes a config': administer,
  'Admin deletes records': deleteRecords
}

async function runChecks() {
  const checks = Object.fromEntries(client.codecs.map(name => [`codec ${name}`, () => codec(name)]))
  let failed = 0
  for (const [name, check] of Object.entries({ ...checks, ...CHECKS })) {
    try {
      await check()
      console.log(`ok ${name}`)
    } catch (error) {
      const where = /checks\.js:(\d+)/.exec(error.stack ?? '')?.[1]
      const causes = (error.errors ?? [error.cause]).filter(Boolean).map(e => e.message).join('; ')
      console.log(`FAILED ${name}: ${error.message} ${causes} (line ${where})`.replaceAll('\n', ' '))
      failed++
    }
  }
  return failed
}

// A producer and a reader over a kill -9 of the broker: what was acknowledged is read, in order.
async function reconnect(topic) {
  const COUNT = 400
  await client.createTopic(topic, 1)
  const seen = []
  let acknowledged = 0
  const reader = (async () => {
    const limit = Date.now() + 100_000
    for (let next = 0; new Set(seen).size < COUNT;) {
      assert(Date.now() < limit, `${seen.length} records read, ${acknowledged} acknowledged`)
      try {
        const records = await client.fetch(topic, 0, next)
        for (const r of records) seen.push(Number(r.value.toString().split(' ')[1]))
        if (records.length > 0) next = records.at(-1).offset + 1
      } catch {
        await sleep(100)                      // the broker is down
      }
    }
  })()
  for (let i = 0; i < COUNT; i += 5) {
    for (let again = 0; ; again++) {
      try {
        await client.produce(topic, numbered(i, i + 5), { idempotent: true })
        break
      } catch (error) {
        assert(again < 100, `not written: ${error.message}`)
        await sleep(100)
      }
    }
    acknowledged += 5
    if (acknowledged === COUNT / 2) console.log('half')
  }
  await reader
  const firsts = seen.filter((n, i) => seen.indexOf(n) === i)
  same(firsts, Array.from({ length: COUNT }, (_, i) => i), 'order')
  console.log(`acknowledged ${acknowledged} read ${seen.length}`)
}

export async function main(connect) {
  const [mode, address, name] = process.argv.slice(2)
  client = await connect(address)
  prefix = name
  let status = 1
  try {
    status = mode === 'reconnect' ? await reconnect(name) : await runChecks()
  } catch (error) {
    console.error(error)
  }
  await Promise.race([client.close().catch(() => {}), sleep(3000)])
  process.exit(status ? 1 : 0)
}
