/* broker/produce_check.h — what a producer may send to a partition, and Kafka's words where not.
 *
 * Source: ProduceRequest.validateRecords, ByteBufferLogInputStream, UnifiedLog.append and
 * LogValidator, as Apache Kafka 4.3.1 shows them from outside (tests/differential). */
#ifndef RL_BROKER_PRODUCE_CHECK_H
#define RL_BROKER_PRODUCE_CHECK_H

#include "broker/broker.h"
#include "log/batch.h"
#include "replicate/metadata_image.h"
#include "wire/msg_produce.h"

/* The most records of one batch that an answer names; its message counts all. */
#define RL_PRODUCE_RECORD_ERRORS_MAX 1000

struct rl_produce_refusal {
    int16_t error_code;                 /* RL_KAFKA_NONE: the batch may be appended */
    bool names_log_start;               /* Kafka's log refuses it, so the answer has its start */
    struct rl_slice message;            /* data NULL: none */
    struct rl_produce_response_record_error *record_errors;     /* in the request's arena */
    int32_t record_error_count;
};

/* Check one partition's records: exactly one batch, size, CRC, counts, the topic's rules.  Records
 * are opened only where the topic needs it (a compacted one, limits of times that are not the
 * defaults) or the batch's own times are out of range.  The batch's timestamp type and largest
 * timestamp are corrected in place, as Kafka does.  True: ret_refusal says what came of it, and
 * ret_batch lies in the request's frame.  False: over the request's memory, the connection was
 * closed and the handler just returns.  Connection's shard. */
bool rl_produce_check(struct rl_request *request, struct rl_slice transactional_id,
                      const struct rl_topic *topic,
                      const struct rl_produce_request_partition *partition,
                      struct rl_batch *ret_batch, struct rl_produce_refusal *ret_refusal);

#endif
