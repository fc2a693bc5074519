// tests/clients/node/kafkajs.js — kafkajs as checks.js wants a client.
//
// kafkajs' public consumer works in a group only.  Without one, records are fetched here by the
// layer below it: the cluster and broker objects its consumer uses, found behind a private symbol.
// Requests, decoding and decompression are kafkajs' own; the loop around them is ours.
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import lz4 from 'lz4-napi'
import zlib from 'node:zlib'
import { main } from './checks.js'

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = kafkajs
const CODECS = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD
}

// kafkajs has gzip; the others are plugged in, as its documentation says.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zlib.zstdCompressSync(encoder.buffer),
  decompress: async buffer => zlib.zstdDecompressSync(buffer)
})

function makeCluster(kafka) {
  const maker = Object.getOwnPropertySymbols(kafka).find(s => s.description === 'private:Kafka:createCluster')
  return kafka[maker]({ metadataMaxAge: 300_000, isolationLevel: 0 })
}

async function connect(address) {
  const kafka = new Kafka({
    brokers: [address], clientId: 'checks', logLevel: logLevel.NOTHING,
    retry: { retries: 30, initialRetryTime: 100, maxRetryTime: 500 }
  })
  const admin = kafka.admin()
  const cluster = makeCluster(kafka)
  const producers = {}
  await Promise.all([admin.connect(), cluster.connect()])

  async function producer(idempotent) {
    if (!producers[idempotent]) {
      producers[idempotent] = kafka.producer({ idempotent, maxInFlightRequests: 1, allowAutoTopicCreation: false })
      await producers[idempotent].connect()
    }
    return producers[idempotent]
  }

  return {
    codecs: Object.keys(CODECS),
    createTopic: (topic, numPartitions) =>
      admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true }),
    async produce(topic, records, { codec = 'none', idempotent = false } = {}) {
      const messages = records.map(r => ({ ...r, timestamp: r.timestamp && String(r.timestamp) }))
      await (await producer(idempotent)).send({ topic, messages, acks: -1, compression: CODECS[codec] })
    },
    async offset(topic, partition, which) {
      const all = typeof which === 'number' ? await admin.fetchTopicOffsetsByTimestamp(topic, which)
        : await admin.fetchTopicOffsets(topic)
      const one = all.find(p => p.partition === partition)
      return Number(which === 'earliest' ? one.low : one.offset)
    },
    async fetch(topic, partition, offset) {
      await cluster.addTargetTopic(topic)
      await cluster.refreshMetadataIfNecessary()
      const { leader } = cluster.findTopicPartitionMetadata(topic).find(p => p.partitionId === partition)
      const broker = await cluster.findBroker({ nodeId: leader })
      const { responses } = await broker.fetch({
        maxWaitTime: 500, isolationLevel: 0,
        topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: 1 << 20 }] }]
      })
      return responses[0].partitions[0].messages.map(m => ({
        offset: Number(m.offset), timestamp: Number(m.timestamp), key: m.key, value: m.value,
        headers: Object.entries(m.headers ?? {})
      })).filter(m => m.offset >= offset)      // a batch may begin before what was asked
    },
    createPartitions: (topic, count) => admin.createPartitions({ topicPartitions: [{ topic, count }] }),
    async partitions(topic) {
      return (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
    },
    setConfig: (topic, name, value) => admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }]
    }),
    async config(topic, name) {
      const found = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [name] }]
      })
      return found.resources[0].configEntries[0].configValue
    },
    async deleteRecords(topic, partition, offset) {
      await admin.fetchTopicOffsets(topic)     // its deletion looks for leaders before it knows the topic
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
    },
    close: () => Promise.all([admin, cluster, ...Object.values(producers)].map(c => c.disconnect()))
  }
}

await main(connect)
