/* broker/produce_check.c — one partition's records, checked as Kafka checks them.
 *
 * Happy path: the bytes are one batch of format 2; its size, CRC and header satisfy the topic; no
 * record is opened.  A topic whose rules speak of single records (cleanup.policy=compact wants
 * keys, message.timestamp.*.max.ms that are not the defaults) has them opened here, on the
 * connection's shard, at most RL_DECODED_BYTES_MAX of them.
 *
 * Failures: Kafka's code, and its words where it has any.  Unlike Kafka, a batch whose records
 * are opened for nobody may hold anything that its CRC confirms. */
#include "broker/produce_check.h"
#include "broker/topics.h"
#include "log/log_bytes.h"
#include "log/record.h"

#include <inttypes.h>
#include <stdio.h>

#define DEFAULT_TIMESTAMP_AFTER_MAX_MS 3600000

enum { NAMED_IN_MESSAGE = 3, RECORD_MESSAGE_BYTES = 512 };
/* What the formats 0 to 2 have in common; 14 bytes is the least that format 0 needs. */
enum { AT_LENGTH = 8, AT_MAGIC = 16, UP_TO_LENGTH = 12, UP_TO_MAGIC = 17, LENGTH_MIN = 14, MAGIC = 2 };

struct check {                          /* of one partition's records */
    struct rl_request *request;
    const struct rl_topic *topic;
    int32_t partition_index;
    int64_t wall_ms;
    struct rl_batch *batch;
    struct rl_produce_refusal *refusal;
    int32_t wrong_count;                /* of records, also those that are not named */
    int64_t max_timestamp_ms;           /* of the records */
    bool wrong_time;
};

static void refuse(struct rl_produce_refusal *refusal, int16_t error)
{
    refusal->error_code = error;
    refusal->names_log_start = false;
}

static void refuse_by_log(struct rl_produce_refusal *refusal, rl_status status)
{
    refusal->error_code = rl_kafka_error_of(status);
    refusal->names_log_start = status != RL_ETOOLARGE && status != RL_ECORRUPT;
}

/* ---- one batch, and nothing behind it ---- */

/* False: out of memory.  ret_status: RL_OK; RL_ENOTFOUND: no whole batch there, which Kafka passes
 * over; RL_ECORRUPT: no batch at all, the refusal says why. */
static bool look_for_batch(struct rl_request *request, struct rl_slice bytes, rl_status *ret_status,
                           size_t *ret_bytes, struct rl_produce_refusal *refusal)
{
    *ret_status = RL_ENOTFOUND;
    if (bytes.bytes < UP_TO_LENGTH)
        return true;
    int32_t length = (int32_t)rl_get_u32(bytes.data + AT_LENGTH);
    if (length < LENGTH_MIN) {
        *ret_status = RL_ECORRUPT;
        return rl_request_printf(request, &refusal->message,
                                 "Record size %d is less than the minimum record overhead (%d)",
                                 length, LENGTH_MIN);
    }
    if (bytes.bytes < UP_TO_MAGIC)
        return true;
    int magic = (int8_t)bytes.data[AT_MAGIC];
    if (magic < 0 || magic > MAGIC) {
        *ret_status = RL_ECORRUPT;
        return rl_request_printf(request, &refusal->message, "Invalid magic found in record: %d", magic);
    }
    *ret_bytes = (size_t)length + UP_TO_LENGTH;
    if (*ret_bytes <= bytes.bytes)
        *ret_status = RL_OK;
    return true;
}

/* Exactly one batch of format 2 in a codec of this version; half a batch may follow. */
static bool check_shape(struct rl_request *request, struct rl_slice records,
                        struct rl_batch *ret_batch, struct rl_produce_refusal *refusal)
{
    rl_status status;
    size_t bytes = 0, more_bytes;
    if (!look_for_batch(request, records, &status, &bytes, refusal))
        return false;
    if (status != RL_OK) {
        refuse(refusal, status == RL_ECORRUPT ? RL_KAFKA_CORRUPT_MESSAGE : RL_KAFKA_INVALID_RECORD);
        return true;
    }
    if (records.data[AT_MAGIC] != MAGIC) {
        refuse(refusal, RL_KAFKA_INVALID_RECORD);
        return true;
    }
    struct rl_slice rest = rl_slice_of(records.data + bytes, records.bytes - bytes);
    if (!look_for_batch(request, rest, &status, &more_bytes, refusal))
        return false;
    if (status == RL_ECORRUPT) {
        refuse(refusal, RL_KAFKA_CORRUPT_MESSAGE);
        return true;
    }
    bool more = status == RL_OK;
    /* The frame's memory is ours to patch until the reply. */
    status = rl_batch_read_header((uint8_t *)records.data, bytes, ret_batch);
    if (status != RL_OK)
        refuse(refusal, RL_KAFKA_CORRUPT_MESSAGE);
    else if (rl_batch_codec(ret_batch) > RL_CODEC_ZSTD ||
             (rl_batch_codec(ret_batch) == RL_CODEC_ZSTD && request->api_version < 7))
        refuse(refusal, RL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    else if (more)
        refuse(refusal, RL_KAFKA_INVALID_RECORD);
    return true;
}

/* ---- records, where they must be opened ---- */

static bool name_record(struct check *c, const struct rl_record *record, struct rl_slice message)
{
    struct rl_produce_refusal *r = c->refusal;
    c->wrong_count++;
    if (r->record_error_count == RL_PRODUCE_RECORD_ERRORS_MAX)
        return true;
    if (r->record_errors == NULL) {
        size_t room = (size_t)RL_MIN(c->batch->record_count, RL_PRODUCE_RECORD_ERRORS_MAX);
        r->record_errors = rl_request_alloc(c->request, room, sizeof *r->record_errors);
        if (r->record_errors == NULL)
            return false;
    }
    struct rl_produce_response_record_error *error = &r->record_errors[r->record_error_count++];
    rl_produce_response_record_error_init(error);
    error->batch_index = (int32_t)(record->offset - c->batch->base_offset);
    error->batch_index_error_message = message;
    return true;
}

static bool is_out_of_range(const struct check *c, int64_t timestamp_ms)
{
    const struct rl_log_config *config = &c->topic->config;
    if (timestamp_ms == -1)             /* none given */
        return false;
    int64_t age_ms = (int64_t)((uint64_t)c->wall_ms - (uint64_t)timestamp_ms);
    return age_ms > config->message_timestamp_before_max_ms ||
           (timestamp_ms > c->wall_ms &&
            (uint64_t)timestamp_ms - (uint64_t)c->wall_ms > (uint64_t)config->message_timestamp_after_max_ms);
}

static bool check_record_time(struct check *c, const struct rl_record *record)
{
    const struct rl_log_config *config = &c->topic->config;
    struct rl_slice message;
    if (config->message_timestamp_type == RL_LOG_APPEND_TIME) {
        if (!rl_batch_is_log_append_time(c->batch))
            return true;
        c->wrong_time = true;
        return rl_request_printf(c->request, &message, "Invalid timestamp type in message DefaultRecord("
                                 "offset=%" PRId64 ", timestamp=%" PRId64 ", key=%zu bytes, value=%zu bytes). "
                                 "Producer should not set timestamp type to LogAppendTime.", record->offset,
                                 record->timestamp_ms, record->key.bytes, record->value.bytes) &&
               name_record(c, record, message);
    }
    if (!is_out_of_range(c, record->timestamp_ms))
        return true;
    c->wrong_time = true;
    int64_t from_ms = (int64_t)((uint64_t)c->wall_ms - (uint64_t)config->message_timestamp_before_max_ms);
    int64_t until_ms = (int64_t)((uint64_t)c->wall_ms + (uint64_t)config->message_timestamp_after_max_ms);
    return rl_request_printf(c->request, &message, "Timestamp %" PRId64 " of message with offset %" PRId64
                             " is out of range. The timestamp should be within [%" PRId64 ", %" PRId64 "]",
                             record->timestamp_ms, record->offset, from_ms, until_ms) &&
           name_record(c, record, message);
}

static bool check_record(struct check *c, const struct rl_record *record)
{
    struct rl_slice message;
    c->max_timestamp_ms = RL_MAX(c->max_timestamp_ms, record->timestamp_ms);
    if (c->topic->config.cleanup_compact && record->key.data == NULL)
        return rl_request_printf(c->request, &message, "Compacted topic cannot accept message without "
                                 "key in topic partition %s-%d", c->topic->name, c->partition_index) &&
               name_record(c, record, message);
    return check_record_time(c, record);
}

/* Kafka's sentence over all of them. */
static bool refuse_records(struct check *c)
{
    char named[NAMED_IN_MESSAGE * RECORD_MESSAGE_BYTES];
    size_t at = 0;
    struct rl_produce_refusal *r = c->refusal;
    r->names_log_start = true;
    if (c->wrong_time) {
        r->error_code = RL_KAFKA_INVALID_TIMESTAMP;
        r->message = rl_slice_of_string("One or more records have been rejected due to invalid timestamp");
        return true;
    }
    r->error_code = RL_KAFKA_INVALID_RECORD;
    for (int32_t i = 0; i < RL_MIN(r->record_error_count, NAMED_IN_MESSAGE); i++) {
        const struct rl_produce_response_record_error *error = &r->record_errors[i];
        at += (size_t)snprintf(named + at, RECORD_MESSAGE_BYTES, "%sRecordError(batchIndex=%d, message='%.*s')",
                               i > 0 ? ", " : "", error->batch_index,
                               (int)RL_MIN(error->batch_index_error_message.bytes, (size_t)400),
                               (const char *)error->batch_index_error_message.data);
    }
    return rl_request_printf(c->request, &r->message, "One or more records have been rejected due to %d "
                             "record errors in total, and only showing the first three errors at most: [%.*s]",
                             c->wrong_count, (int)at, named);
}

static bool check_records(struct check *c)
{
    struct rl_records records;
    struct rl_record record;
    bool enough_memory = true;
    rl_status status = rl_records_init(&records, c->batch);
    if (status == RL_OK) {
        c->max_timestamp_ms = -1;
        while (enough_memory && (status = rl_records_next(&records, &record)) == RL_OK)
            enough_memory = check_record(c, &record);
        rl_records_done(&records);
    }
    if (!enough_memory)
        return false;
    if (c->wrong_count > 0)
        return refuse_records(c);
    if (status != RL_ENOTFOUND)
        refuse_by_log(c->refusal, status == RL_ETOOLARGE ? RL_ETOOLARGE : RL_EINVALIDRECORD);
    return true;
}

static bool needs_records(const struct check *c)
{
    const struct rl_log_config *config = &c->topic->config;
    if (config->cleanup_compact)
        return true;
    if (config->message_timestamp_type == RL_LOG_APPEND_TIME)
        return rl_batch_is_log_append_time(c->batch);           /* to refuse them one by one */
    return config->message_timestamp_before_max_ms != INT64_MAX ||
           config->message_timestamp_after_max_ms != DEFAULT_TIMESTAMP_AFTER_MAX_MS ||
           is_out_of_range(c, c->batch->base_timestamp_ms) || is_out_of_range(c, c->batch->max_timestamp_ms);
}

/* ---- all together ---- */

/* What Kafka's log looks at, in its order. */
static rl_status check_header(const struct check *c)
{
    if (c->batch->base_offset != 0)
        return RL_EINVALIDRECORD;
    if (c->batch->size_bytes > (size_t)RL_MAX(c->topic->config.max_message_bytes, 0))
        return RL_ETOOLARGE;
    rl_status status = rl_batch_check(c->batch);
    return status == RL_OK ? rl_batch_check_rules(c->batch) : status;
}

static bool check_batch(struct check *c)
{
    rl_status status = check_header(c);
    if (status != RL_OK) {
        refuse_by_log(c->refusal, status);
        return true;
    }
    bool opened = needs_records(c);
    if (opened && !check_records(c))
        return false;
    if (c->refusal->error_code != RL_KAFKA_NONE ||
        c->topic->config.message_timestamp_type == RL_LOG_APPEND_TIME)
        return true;
    int64_t max_timestamp_ms = opened ? c->max_timestamp_ms : c->batch->max_timestamp_ms;
    if (rl_batch_is_log_append_time(c->batch) || max_timestamp_ms != c->batch->max_timestamp_ms)
        rl_batch_set_create_time(c->batch, max_timestamp_ms);
    return true;
}

bool rl_produce_check(struct rl_request *request, struct rl_slice transactional_id,
                      const struct rl_topic *topic,
                      const struct rl_produce_request_partition *partition,
                      struct rl_batch *ret_batch, struct rl_produce_refusal *ret_refusal)
{
    *ret_refusal = (struct rl_produce_refusal){ .error_code = RL_KAFKA_NONE };
    if (!check_shape(request, partition->records, ret_batch, ret_refusal))
        return false;
    if (ret_refusal->error_code != RL_KAFKA_NONE)
        return true;
    if (rl_batch_is_transactional(ret_batch)) {
        refuse(ret_refusal, transactional_id.data == NULL ? RL_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                                          : RL_KAFKA_INVALID_REQUEST);
        return true;
    }
    struct check c = {
        .request = request, .topic = topic, .partition_index = partition->index,
        .wall_ms = rl_request_shard(request)->wall_ms, .batch = ret_batch, .refusal = ret_refusal,
    };
    return check_batch(&c);
}
