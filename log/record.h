/* log/record.h — walk the records of one batch.
 *
 * A record: length varint; attributes i8; timestamp delta varlong; offset delta varint; key
 * length varint (-1: null), key; value length varint (-1: null), value; header count varint and
 * per header: key length varint, key, value length varint (-1: null), value.  All varints are
 * zig-zag.  Source: KIP-98, DefaultRecord. */
#ifndef RL_LOG_RECORD_H
#define RL_LOG_RECORD_H

#include "core/slice.h"
#include "core/text.h"
#include "log/batch.h"

struct rl_record {
    int64_t offset;
    int64_t timestamp_ms;               /* the batch's with LogAppendTime */
    struct rl_slice key, value;         /* data NULL: null; lent until rl_records_done */
    struct rl_slice headers;            /* encoded, header_count of them */
    int32_t header_count;
};

struct rl_records {
    const struct rl_batch *batch;
    const uint8_t *at, *end;
    int32_t left;                       /* records not yet given */
    struct rl_text decoded;             /* owns the bytes of a compressed batch */
};

/* Begin with a batch that passed rl_batch_check; opens it if compressed.  The batch must live as
 * long as the walk.  RL_ECORRUPT, RL_ETOOLARGE (see codec.h): nothing to undo. */
rl_status rl_records_init(struct rl_records *records, const struct rl_batch *batch);
/* RL_OK: ret_record is the next one; RL_ENOTFOUND: no more; RL_ECORRUPT: not a valid record, or
 * bytes behind the last one. */
rl_status rl_records_next(struct rl_records *records, struct rl_record *ret_record);
void rl_records_done(struct rl_records *records);

#endif
