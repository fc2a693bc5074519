// tests/clients/node/platformatic_member.js — @platformatic/kafka as a member of a group
// (../group_members.py).
//
//   node platformatic_member.js HOST:PORT TOPIC GROUP [protocol=range]
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'
import { platformaticRange } from './range.js'

const [address, topic, groupId, protocol] = process.argv.slice(2)
const say = text => process.stdout.write(text + '\n')

const consumer = new Consumer({
  clientId: 'member', bootstrapBrokers: [address], groupId, deserializers: stringDeserializers,
  sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 15_000, maxWaitTime: 200,
  retries: 100, retryDelay: 200, timeout: 10_000,
  ...(protocol === 'protocol=range' && platformaticRange)
})

consumer.on('consumer:group:join', ({ generationId, assignments }) => {
  say(`generation ${generationId}`)
  say(`assigned ${assignments.filter(a => a.topic === topic).flatMap(a => a.partitions).join(' ')}`)
})

const stream = await consumer.consume({
  topics: [topic], mode: MessagesStreamModes.COMMITTED, fallbackMode: MessagesStreamFallbackModes.EARLIEST,
  autocommit: 200
})
process.on('SIGTERM', async () => {
  await stream.close()
  await consumer.close()
  say('closed')
  process.exit(0)
})
stream.on('error', error => process.stderr.write(`${error.stack}\n`))
for await (const message of stream) {
  say(`record ${message.partition} ${message.offset} ${message.value}`)
}
