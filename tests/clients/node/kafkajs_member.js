// tests/clients/node/kafkajs_member.js — kafkajs as a member of a group (../group_members.py).
//
//   node kafkajs_member.js HOST:PORT TOPIC GROUP [protocol=range]
import kafkajs from 'kafkajs'
import { kafkajsRange } from './range.js'

const { Kafka, logLevel } = kafkajs
const [address, topic, groupId, protocol] = process.argv.slice(2)
const say = text => process.stdout.write(text + '\n')

// The generation is told nowhere but in the log.
function log({ level, log }) {
  if (log.message === 'Received assignment') say(`generation ${log.generationId}`)
  if (level <= logLevel.ERROR) process.stderr.write(`${log.message} ${log.error ?? ''}\n`)
}

const kafka = new Kafka({
  brokers: [address], clientId: 'member', logLevel: logLevel.DEBUG, logCreator: () => log,
  retry: { retries: 100, initialRetryTime: 100, maxRetryTime: 500 }
})
const consumer = kafka.consumer({
  groupId, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 15_000, maxWaitTimeInMs: 200,
  ...(protocol === 'protocol=range' && { partitionAssigners: [kafkajsRange] })
})
consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
  say(`assigned ${(payload.memberAssignment[topic] ?? []).join(' ')}`))
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1)
})

async function stop() {
  await consumer.disconnect()
  say('closed')
  process.exit(0)
}
process.on('SIGTERM', stop)

await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({
  autoCommitInterval: 200,
  eachMessage: async ({ partition, message }) =>
    say(`record ${partition} ${message.offset} ${message.value.toString()}`)
})
