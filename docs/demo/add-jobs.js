// docs/demo/add-jobs.js — puts jobs into the queue, spread over its 32 partitions.
//
//   node add-jobs.js COUNT
import { connectedProducer, say } from './common.js'

const count = Number(process.argv[2])
const partitions = 32

const producer = await connectedProducer()
await producer.send({
  topic: 'jobs',
  messages: Array.from({ length: count }, (_, number) => ({
    key: String(number), value: `wash ${number + 1} dishes`, partition: number % partitions
  }))
})
say(`${count} jobs are waiting`)
await producer.disconnect()
