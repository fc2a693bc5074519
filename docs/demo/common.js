// docs/demo/common.js — what every program here uses: the connection, a consumer, the end.
import kafkajs from 'kafkajs'

const { Kafka, logLevel } = kafkajs

export const kafka = new Kafka({
  clientId: 'demo',
  brokers: [process.env.BROKER ?? '127.0.0.1:9092'],
  // kafkajs calls every rebalance an error; what really ends a consumer is told below.
  logLevel: logLevel.NOTHING
})

export const say = (...words) => console.log(words.join(' '))

// A member of the group `groupId` that reads `topic` from its beginning, or from where the group
// has come to. `onMessage` is awaited: only a message it has dealt with is committed.
export async function consume(groupId, topic, onMessage, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 1000, maxWaitTimeInMs: 1000 })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    say(`${groupId}: my partitions are ${(payload.memberAssignment[topic] ?? []).join(', ') || 'none'}`))
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (payload.restart) return
    console.error(payload.error)
    process.exit(1)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ ...options, eachMessage: onMessage })
  atEnd(() => consumer.disconnect())
}

// Ctrl-C leaves the group at once, so that the others need not wait for the session to end.
function atEnd(disconnect) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await disconnect()
      process.exit(0)
    })
  }
}

export async function connectedProducer(options = {}) {
  const producer = kafka.producer(options)
  await producer.connect()
  return producer
}
