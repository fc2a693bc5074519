// docs/demo/tweet.js — users tweet: a producer with a partitioner of its own.
//
//   node tweet.js COUNT USER...       each of these users tweets COUNT times
import { connectedProducer, say } from './common.js'

const [count, ...users] = process.argv.slice(2)

// The newsroom tweets so much that it gets the last partition for itself; all others share the rest.
// One user's tweets are always in one partition, and so stay in order.
function newsroomApart() {
  return ({ partitionMetadata, message }) => {
    const rest = partitionMetadata.length - 1
    if (message.key === 'newsroom') return rest
    return [...message.key].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % rest
  }
}

const topics = ['the weather', 'my cat', 'coffee', 'a train that is late', 'rings', 'tea', 'logs']
const links = { 4: ' http://fine.example', 6: ' http://slow.example', 9: ' http://broken.example' }

function text(user, number) {
  return `${user} #${number}: about ${topics[number % topics.length]}${links[number % 10] ?? ''}`
}

const producer = await connectedProducer({ createPartitioner: newsroomApart })
for (let number = 0; number < Number(count); number++) {
  for (const user of users) {
    const value = text(user, number)
    const [{ partition, baseOffset }] = await producer.send({
      topic: 'tweets', messages: [{ key: user, value }]
    })
    say(`sent to ${partition} at ${baseOffset}: ${value}`)
  }
}
await producer.disconnect()
