/* tests/broker/protocol/protocol_calls.h — the calls that most protocol tests make. */
#ifndef RL_TESTS_PROTOCOL_PROTOCOL_CALLS_H
#define RL_TESTS_PROTOCOL_PROTOCOL_CALLS_H

#include "log_fixture.h"                /* struct batch_spec, build_batch */
#include "protocol_client.h"
#include "wire/msg_fetch.h"
#include "wire/msg_list_offsets.h"
#include "wire/msg_produce.h"

/* What the broker announces, as the tests expect it. */
enum {
    PRODUCE_MIN = 3, PRODUCE_MAX = 13, FETCH_MIN = 4, FETCH_MAX = 18, LIST_OFFSETS_MIN = 1,
    LIST_OFFSETS_MAX = 11, METADATA_MIN = 0, METADATA_MAX = 13, API_VERSIONS_MAX = 4
};

struct topic {
    char name[256];
    struct rl_uuid id;
};

/* Create a topic and wait until every partition has a leader.  configs: "key=value", NULL at the
 * end, or NULL. */
void topic_create(struct client *c, struct topic *topic, const char *name, int32_t partitions,
                  const char *const *configs);
/* The error code of DeleteTopics. */
int16_t topic_delete(struct client *c, const char *name);

/* ---- batches ---- */

struct blob {
    uint8_t *bytes;
    size_t size;
};
/* A valid batch; rl_free its bytes. */
struct blob batch_of(const struct batch_spec *spec);
struct blob batch_small(uint64_t seed);
/* The CRC anew, after bytes were changed. */
void batch_seal(struct blob batch);
void put_be16(uint8_t *at, uint16_t value);
void put_be32(uint8_t *at, uint32_t value);
void put_be64(uint8_t *at, uint64_t value);

enum {
    BATCH_AT_LENGTH = 8, BATCH_AT_EPOCH = 12, BATCH_AT_MAGIC = 16, BATCH_AT_CRC = 17,
    BATCH_AT_ATTRIBUTES = 21, BATCH_AT_LAST_DELTA = 23, BATCH_AT_BASE_TIMESTAMP = 27,
    BATCH_AT_MAX_TIMESTAMP = 35, BATCH_AT_PRODUCER_ID = 43, BATCH_AT_PRODUCER_EPOCH = 51,
    BATCH_AT_SEQUENCE = 53, BATCH_AT_COUNT = 57
};

/* The bytes from the magic on are what was produced: base offset, length and leader epoch apart. */
bool batch_same(const uint8_t *a, const uint8_t *b, size_t bytes);

/* ---- produce ---- */

/* Send one batch; acks=0 expects no reply. */
void produce_send(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
                  int16_t acks, struct rl_slice records);
/* The only partition of the next reply. */
const struct rl_produce_response_partition *produce_receive(struct client *c);
const struct rl_produce_response_partition *
produce(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
        int16_t acks, struct blob batch);
/* Produce a batch with acks=1 that must succeed: its base offset. */
int64_t produce_ok(struct client *c, const struct topic *topic, int32_t partition, struct blob batch);

/* ---- fetch ---- */

struct fetch_from {
    const struct topic *topic;
    int32_t partition;
    int64_t offset;
    int32_t max_bytes;                  /* 0: 1 MiB; -1: 0 */
    int32_t leader_epoch;               /* 0: not checked; else epoch + 1 */
};
struct fetch_ask {
    int32_t max_wait_ms, min_bytes;
    int32_t max_bytes;                  /* 0: 50 MiB; -1: 0 */
    int8_t isolation_level;
    struct fetch_from from[8];
    uint32_t count;                     /* 0: 1 */
};
void fetch_send(struct client *c, int16_t version, const struct fetch_ask *ask);
const struct rl_fetch_response *fetch(struct client *c, int16_t version, const struct fetch_ask *ask);
/* A partition of the reply, which has those of one topic together; NULL behind the last. */
const struct rl_fetch_response_partition *fetch_part(const struct rl_fetch_response *reply, uint32_t index);
/* The only partition, asked without waiting. */
const struct rl_fetch_response_partition *fetch_one(struct client *c, int16_t version,
                                                    const struct topic *topic, int32_t partition,
                                                    int64_t offset);
/* All that is in a partition from an offset up to the high watermark, in as many fetches as it
 * takes, checked to be whole batches with dense offsets.  free() the bytes. */
struct blob fetch_all(struct client *c, const struct topic *topic, int32_t partition, int64_t offset);

/* ---- offsets ---- */

const struct rl_list_offsets_response_partition *
list_offsets(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
             int64_t timestamp_ms);
int64_t log_end(struct client *c, const struct topic *topic, int32_t partition);

#endif
