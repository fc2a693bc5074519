/* tests/log/fuzz_log_record.c — libFuzzer: any bytes as a batch, its records, and as compressed data.
 *
 * The first byte chooses the codec of a batch built around the rest (a found batch would need a
 * lucky checksum, which the walk does not ask for).  Oracle: no fault, bounded output, and records
 * that lie inside the batch's offsets. */
#include "core/memory.h"
#include "log/codec.h"
#include "log/log_bytes.h"
#include "log/record.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void walk(const struct rl_batch *batch)
{
    struct rl_records records;
    struct rl_record record;
    int32_t count = 0;

    if (rl_records_init(&records, batch) != RL_OK)
        return;
    while (rl_records_next(&records, &record) == RL_OK) {
        if (record.offset < batch->base_offset || record.offset > rl_batch_last_offset(batch))
            abort();
        count++;
    }
    if (count > RL_MAX(batch->record_count, 0))
        abort();
    rl_records_done(&records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rl_text out = { 0 };
    struct rl_batch batch;

    if (bytes < 3)
        return 0;
    uint8_t *copy = rl_alloc(RL_BATCH_HEADER_BYTES + bytes);
    memcpy(copy, data, bytes);
    if (rl_batch_read_header(copy, bytes, &batch) == RL_OK) {
        (void)rl_batch_check(&batch);
        walk(&batch);
    }
    memset(copy, 0, RL_BATCH_HEADER_BYTES);
    memcpy(copy + RL_BATCH_HEADER_BYTES, data + 2, bytes - 2);
    copy[16] = 2;
    copy[22] = data[0] % 5;
    rl_put_u32(copy + 8, (uint32_t)(RL_BATCH_HEADER_BYTES + bytes - 2 - 12));
    rl_put_u32(copy + 23, data[1]);
    rl_put_u32(copy + 57, data[1] + 1u);
    if (rl_batch_read_header(copy, RL_BATCH_HEADER_BYTES + bytes - 2, &batch) != RL_OK)
        abort();
    walk(&batch);
    for (enum rl_codec codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++) {
        enum { LIMIT_BYTES = 1 << 16 };
        rl_text_clear(&out);
        rl_status status = rl_codec_decode(codec, rl_slice_of(data, bytes), LIMIT_BYTES, &out);
        if (status == RL_OK && out.bytes > LIMIT_BYTES)
            abort();
        if (out.capacity > 4 * LIMIT_BYTES + bytes)
            abort();
    }
    rl_text_done(&out);
    rl_free(copy);
    return 0;
}
