// docs/demo/read.js — a member of a group that reads tweets.
//
//   node read.js GROUP
import { consume, say } from './common.js'

const [group] = process.argv.slice(2)

await consume(group, 'tweets', async ({ partition, message }) =>
  say(`${group} from ${partition} at ${message.offset}: ${message.value}`))
