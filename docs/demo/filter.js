// docs/demo/filter.js — tweets about coffee go to the topic `tweets-coffee`, all others nowhere.
import { connectedProducer, consume, say } from './common.js'

const producer = await connectedProducer()

await consume('filter', 'tweets', async ({ message }) => {
  if (!message.value.toString().includes('coffee')) return
  await producer.send({ topic: 'tweets-coffee', messages: [{ key: message.key, value: message.value }] })
  say(`kept: ${message.value}`)
})
