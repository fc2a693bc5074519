// tests/clients/node/range.js — the range assignor, for groups with members of other libraries.
//
// kafkajs and @platformatic/kafka bring round robin under names of their own (and the latter
// cooperative-sticky); what Java and librdkafka have by default is range.  Both take an assignor from
// outside.  For one topic: the members by their ids, each a contiguous part, the first ones one more.
import kafkajs from 'kafkajs'

const { AssignerProtocol: { MemberAssignment, MemberMetadata } } = kafkajs

function share(memberIds, count) {
  const each = Math.floor(count / memberIds.length), more = count % memberIds.length
  const found = new Map()
  let next = 0
  memberIds.toSorted().forEach((id, place) => {
    const length = each + (place < more ? 1 : 0)
    found.set(id, Array.from({ length }, (_, i) => next + i))
    next += length
  })
  return found
}

export const kafkajsRange = ({ cluster }) => ({
  name: 'range',
  version: 0,
  protocol: ({ topics }) => ({
    name: 'range', metadata: MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) })
  }),
  async assign({ members, topics: [topic] }) {
    const shares = share(members.map(m => m.memberId), cluster.findTopicPartitionMetadata(topic).length)
    return [...shares].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: 0, assignment: { [topic]: partitions }, userData: Buffer.alloc(0)
      })
    }))
  }
})

export const platformaticRange = {
  protocols: [{ name: 'range', version: 0 }],
  partitionAssigner(_current, members, topics, metadata) {
    const [topic] = topics
    const shares = share([...members.keys()], metadata.topics.get(topic).partitionsCount)
    return [...shares].map(([memberId, partitions]) => ({
      memberId, assignments: new Map([[topic, { topic, partitions }]])
    }))
  }
}
