// docs/demo/worker.js — a worker of the job queue.
//
//   node worker.js NAME
//
// First the work, then its result, then the commit: whoever dies in between has not committed, and
// the next owner of the partition does that job again. A job may be done twice, none is lost.
import { connectedProducer, consume, say } from './common.js'

const [name] = process.argv.slice(2)
const WORK_MS = 100

const producer = await connectedProducer()

async function work({ message }) {
  say(`${name} begins job ${message.key}: ${message.value}`)
  await new Promise(resolve => setTimeout(resolve, WORK_MS))
  await producer.send({ topic: 'jobs-done', messages: [{ key: message.key, value: name }] })
  say(`${name} did job ${message.key}`)
}

await consume('workers', 'jobs', work, { autoCommitThreshold: 1 })
