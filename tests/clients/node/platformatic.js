// tests/clients/node/platformatic.js — @platformatic/kafka as checks.js wants a client.
//
// Its message streams work in a group only; Consumer.fetch, public, fetches by partition.
import { Admin, Consumer, ProduceAcks, Producer } from '@platformatic/kafka'
import { main } from './checks.js'

const TOPIC = 2, SET = 0     // config resource type and incremental operation, by the protocol
const WHICH = { earliest: -2n, latest: -1n }

async function connect(address) {
  const options = { clientId: 'checks', bootstrapBrokers: [address], retries: 30, retryDelay: 200, timeout: 10_000 }
  const admin = new Admin(options)
  const consumer = new Consumer({ ...options, groupId: 'nobody', maxWaitTime: 500 })
  const producers = {}

  function producer(idempotent) {
    producers[idempotent] ??= new Producer({ ...options, idempotent, autocreateTopics: false })
    return producers[idempotent]
  }

  return {
    codecs: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    createTopic: (topic, partitions) => admin.createTopics({ topics: [topic], partitions, replicas: 1 }),
    async produce(topic, records, { codec = 'none', idempotent = false } = {}) {
      const messages = records.map(({ key, value, headers, timestamp, partition }) => ({
        topic, partition, key: key ?? undefined, value: value ?? undefined,
        timestamp: timestamp && BigInt(timestamp),
        headers: new Map(Object.entries(headers ?? {}).map(([name, bytes]) => [Buffer.from(name), bytes]))
      }))
      await producer(idempotent).send({ messages, acks: ProduceAcks.ALL, compression: codec })
    },
    async offset(topic, partition, which) {
      const timestamp = WHICH[which] ?? BigInt(which)
      const found = await consumer.listOffsets({ topics: [topic], partitions: { [topic]: [partition] }, timestamp })
      return Number(found.get(topic)[partition])
    },
    async fetch(topic, partition, offset) {
      const metadata = await consumer.metadata({ topics: [topic] })
      const { id, partitions } = metadata.topics.get(topic)
      const response = await consumer.fetch({
        node: partitions[partition].leader, maxWaitTime: 500, minBytes: 1, maxBytes: 1 << 20,
        topics: [{
          topicId: id,
          partitions: [{
            partition, fetchOffset: BigInt(offset), partitionMaxBytes: 1 << 20, currentLeaderEpoch: -1,
            lastFetchedEpoch: -1
          }]
        }]
      })
      const batches = response.responses.flatMap(t => t.partitions).flatMap(p => p.records ?? [])
      return batches.flatMap(batch => batch.records.map(r => ({
        offset: Number(batch.firstOffset) + r.offsetDelta,
        timestamp: Number(batch.firstTimestamp + r.timestampDelta), key: r.key, value: r.value,
        headers: r.headers.map(([name, value]) => [name.toString(), value])
      }))).filter(r => r.offset >= offset)     // a batch may begin before what was asked
    },
    createPartitions: (topic, count) => admin.createPartitions({ topics: [{ name: topic, count }] }),
    async partitions(topic) {
      return (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount
    },
    setConfig: (topic, name, value) => admin.incrementalAlterConfigs({
      resources: [{ resourceType: TOPIC, resourceName: topic, configs: [{ name, configOperation: SET, value }] }]
    }),
    async config(topic, name) {
      const found = await admin.describeConfigs({
        resources: [{ resourceType: TOPIC, resourceName: topic, configurationKeys: [name] }]
      })
      return found[0].configs[0].value
    },
    deleteRecords: (topic, partition, offset) =>
      admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(offset) }] }] }),
    close: () => Promise.all([admin, consumer, ...Object.values(producers)].map(c => c.close()))
  }
}

await main(connect)
