// docs/demo/create-topics.js — makes the topics of the demo; those that are there stay as they are.
import { kafka, say } from './common.js'

const topics = { tweets: 3, 'tweets-coffee': 1, 'tweets-retry': 1, 'tweets-dead': 1, jobs: 32, 'jobs-done': 1 }

const admin = kafka.admin()
await admin.connect()
await admin.createTopics({
  waitForLeaders: true,
  topics: Object.entries(topics).map(([topic, numPartitions]) => ({ topic, numPartitions }))
})
for (const [topic, count] of Object.entries(topics)) say(`${topic}: ${count} partitions`)
await admin.disconnect()
