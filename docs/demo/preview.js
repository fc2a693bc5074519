// docs/demo/preview.js — fetches a preview of each tweet's link; what fails is tried again later.
//
//   node preview.js                   reads `tweets`; failures go to `tweets-retry`
//   node preview.js retry             reads `tweets-retry`: after a pause a second and a third try;
//                                     what fails then goes to `tweets-dead`, for a human to look at
//
// A failure waits in a topic of its own, so the tweets behind it go on at once.
import { connectedProducer, consume, say } from './common.js'

const ATTEMPTS = 3
const PAUSE_MS = 500
const retry = process.argv[2] === 'retry'

// No network needed: slow links work at the second try, broken ones never.
async function fetchPreview(tweet, attempt) {
  if (tweet.includes('broken.example')) throw new Error('no such host')
  if (tweet.includes('slow.example') && attempt === 1) throw new Error('timed out')
}

const producer = await connectedProducer()

async function handOn(message, attempt, error) {
  const topic = attempt < ATTEMPTS ? 'tweets-retry' : 'tweets-dead'
  const headers = { attempts: String(attempt), error: error.message }
  await producer.send({ topic, messages: [{ key: message.key, value: message.value, headers }] })
  say(`${error.message}, to ${topic}: ${message.value}`)
}

async function onTweet({ message }) {
  const attempt = 1 + Number(message.headers?.attempts ?? 0)
  if (retry) await until(Number(message.timestamp) + PAUSE_MS)
  try {
    await fetchPreview(message.value.toString(), attempt)
    say(`fine at try ${attempt}: ${message.value}`)
  } catch (error) {
    await handOn(message, attempt, error)
  }
}

const until = time => new Promise(resolve => setTimeout(resolve, time - Date.now()))

await (retry ? consume('preview-retry', 'tweets-retry', onTweet) : consume('preview', 'tweets', onTweet))
