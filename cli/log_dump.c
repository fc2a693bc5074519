/* cli/log_dump.c — `ringlog log dump`: what is in a log's files.
 *
 * Happy path: one line per batch or entry, in the words of Kafka's own DumpLogSegments, or one JSON
 * object per line.
 * Failures: bytes that are no sound batch are told where they stand, and the dump goes on behind. */
#include "cli/log_command.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/file_name.h"
#include "log/index.h"
#include "log/log_bytes.h"
#include "log/record.h"
#include "log/scan.h"
#include "log/snapshot.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_WRONG = 1, EXIT_UNREADABLE = 3 };
#define SIDE_FILE_BYTES_MAX ((size_t)1 << 30)

struct dump {
    struct rl_disk *disk;
    const char *path;
    const struct rl_log_command_options *options;
    int64_t offset;                     /* of the file's name */
    int code;
};

/* ---- output ---- */

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static void print_bytes(struct rl_slice bytes)
{
    for (size_t i = 0; i < bytes.bytes; i++) {
        uint8_t c = bytes.data[i];
        if (c >= ' ' && c < 0x7f && c != '\\')
            putchar(c);
        else
            printf("\\x%02x", c);
    }
}

/* A string where it is UTF-8, else {"hex": "..."}; null for null. */
static json_t *bytes_json(struct rl_slice bytes)
{
    static const char digits[] = "0123456789abcdef";

    if (bytes.data == NULL)
        return json_null();
    json_t *text = json_stringn((const char *)bytes.data, bytes.bytes);
    if (text != NULL)
        return text;
    char *hex = rl_alloc(2 * bytes.bytes + 1);
    for (size_t i = 0; i < bytes.bytes; i++) {
        hex[2 * i] = digits[bytes.data[i] >> 4];
        hex[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    json_t *object = json_pack("{s:s%}", "hex", hex, 2 * bytes.bytes);
    rl_free(hex);
    return object;
}

static const char *codec_name(enum rl_codec codec)
{
    static const char *const names[] = { "none", "gzip", "snappy", "lz4", "zstd" };

    return (size_t)codec < RL_ARRAY_COUNT(names) ? names[codec] : "unknown";
}

/* ---- .log ---- */

static int64_t last_sequence(const struct rl_batch *b)
{
    return b->base_sequence < 0 ? -1 : ((int64_t)b->base_sequence + b->last_offset_delta) % ((int64_t)INT32_MAX + 1);
}

static void print_record(const struct rl_record *r)
{
    printf("| offset: %" PRId64 " CreateTime: %" PRId64 " keySize: %lld valueSize: %lld headers: %d", r->offset,
           r->timestamp_ms, r->key.data == NULL ? -1 : (long long)r->key.bytes,
           r->value.data == NULL ? -1 : (long long)r->value.bytes, r->header_count);
    if (r->key.data != NULL) {
        printf(" key: ");
        print_bytes(r->key);
    }
    if (r->value.data != NULL) {
        printf(" payload: ");
        print_bytes(r->value);
    }
    putchar('\n');
}

static json_t *record_json(const struct rl_record *r)
{
    return json_pack("{s:I, s:I, s:i, s:o, s:o}", "offset", (json_int_t)r->offset, "timestamp",
                     (json_int_t)r->timestamp_ms, "headers", (int)r->header_count, "key", bytes_json(r->key),
                     "value", bytes_json(r->value));
}

/* Into `array`, or onto the screen if that is NULL. */
static void dump_records(struct dump *d, const struct rl_batch *batch, json_t *array)
{
    struct rl_records records;
    struct rl_record record;

    rl_status status = rl_records_init(&records, batch);
    if (status == RL_OK) {
        while ((status = rl_records_next(&records, &record)) == RL_OK) {
            if (array != NULL)
                json_array_append_new(array, record_json(&record));
            else
                print_record(&record);
        }
        rl_records_done(&records);
    }
    if (status == RL_ENOTFOUND)
        return;
    fprintf(stderr, "ringlog log: %s: the batch with offset %" PRId64 ": %s\n", d->path, batch->base_offset,
            rl_status_text(status));
    d->code = EXIT_WRONG;
}

static json_t *batch_json(const struct rl_log_scan_item *item)
{
    const struct rl_batch *b = &item->batch;

    return json_pack("{s:I, s:I, s:i, s:i, s:I, s:i, s:i, s:b, s:b, s:I, s:I, s:s, s:I, s:I, s:s, s:I}",
                     "base_offset", (json_int_t)b->base_offset, "last_offset", (json_int_t)rl_batch_last_offset(b),
                     "count", (int)b->record_count, "base_sequence", (int)b->base_sequence, "producer_id",
                     (json_int_t)b->producer_id, "producer_epoch", (int)b->producer_epoch,
                     "partition_leader_epoch", (int)b->partition_leader_epoch, "transactional",
                     (int)rl_batch_is_transactional(b), "control", (int)rl_batch_is_control(b), "position",
                     (json_int_t)item->pos, "max_timestamp", (json_int_t)b->max_timestamp_ms, "timestamp_type",
                     rl_batch_is_log_append_time(b) ? "LogAppendTime" : "CreateTime", "base_timestamp",
                     (json_int_t)b->base_timestamp_ms, "size", (json_int_t)b->size_bytes, "codec",
                     codec_name(rl_batch_codec(b)), "crc", (json_int_t)b->crc);
}

static void dump_batch(struct dump *d, const struct rl_log_scan_item *item)
{
    const struct rl_batch *b = &item->batch;

    if (d->options->json) {
        json_t *object = batch_json(item);
        if (d->options->records) {
            json_t *records = json_array();
            dump_records(d, b, records);
            json_object_set_new(object, "records", records);
        }
        print_json(object);
        return;
    }
    printf("baseOffset: %" PRId64 " lastOffset: %" PRId64 " count: %d baseSequence: %d lastSequence: %" PRId64
           " producerId: %" PRId64 " producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s isControl: %s"
           " position: %" PRIu64 " %s: %" PRId64 " size: %zu magic: 2 compresscodec: %s crc: %u isvalid: true\n",
           b->base_offset, rl_batch_last_offset(b), b->record_count, b->base_sequence, last_sequence(b),
           b->producer_id, b->producer_epoch, b->partition_leader_epoch,
           rl_batch_is_transactional(b) ? "true" : "false", rl_batch_is_control(b) ? "true" : "false", item->pos,
           rl_batch_is_log_append_time(b) ? "LogAppendTime" : "CreateTime", b->max_timestamp_ms, b->size_bytes,
           codec_name(rl_batch_codec(b)), b->crc);
    if (d->options->records)
        dump_records(d, b, NULL);
}

static void dump_gap(struct dump *d, const struct rl_log_scan_item *item)
{
    const char *what = item->status == RL_ECORRUPT ? "checksum does not match" : rl_status_text(item->status);

    d->code = EXIT_WRONG;
    if (d->options->json)
        print_json(json_pack("{s:b, s:I, s:I, s:s}", "valid", 0, "position", (json_int_t)item->pos, "size",
                             (json_int_t)item->bytes, "problem", what));
    else
        printf("position: %" PRIu64 " size: %" PRIu64 " isvalid: false (%s%s)\n", item->pos, item->bytes, what,
               item->kind == RL_SCAN_TAIL ? ", up to the end of the file" : "");
}

static rl_status dump_log(struct dump *d)
{
    struct rl_log_scan scan;
    struct rl_log_scan_item item = { 0 };
    int64_t left = d->options->limit;

    rl_status status = rl_log_scan_open(&scan, d->disk, d->path);
    if (status != RL_OK)
        return status;
    if (!d->options->json)
        printf("Starting offset: %" PRId64 "\n", d->offset);
    while (left > 0 && (status = rl_log_scan_next(&scan, &item)) == RL_OK && item.kind != RL_SCAN_END) {
        if (item.kind != RL_SCAN_BATCH) {
            dump_gap(d, &item);
        } else if (rl_batch_last_offset(&item.batch) >= d->options->offset) {
            dump_batch(d, &item);
            left--;
        }
    }
    rl_log_scan_done(&scan);
    return status;
}

/* ---- the others ---- */

static void dump_index(const struct dump *d, struct rl_slice file)
{
    int64_t left = d->options->limit;

    for (size_t at = 0; at + RL_INDEX_ENTRY_BYTES <= file.bytes && left > 0; at += RL_INDEX_ENTRY_BYTES, left--) {
        int64_t offset = d->offset + rl_get_u32(file.data + at);
        uint32_t pos = rl_get_u32(file.data + at + 4);
        if (d->options->json)
            print_json(json_pack("{s:I, s:I}", "offset", (json_int_t)offset, "position", (json_int_t)pos));
        else
            printf("offset: %" PRId64 " position: %u\n", offset, pos);
    }
}

static void dump_time_index(const struct dump *d, struct rl_slice file)
{
    int64_t left = d->options->limit;

    for (size_t at = 0; at + RL_TIME_ENTRY_BYTES <= file.bytes && left > 0; at += RL_TIME_ENTRY_BYTES, left--) {
        int64_t timestamp_ms = (int64_t)rl_get_u64(file.data + at);
        int64_t offset = d->offset + rl_get_u32(file.data + at + 8);
        if (d->options->json)
            print_json(json_pack("{s:I, s:I}", "timestamp", (json_int_t)timestamp_ms, "offset", (json_int_t)offset));
        else
            printf("timestamp: %" PRId64 " offset: %" PRId64 "\n", timestamp_ms, offset);
    }
}

static void dump_producer(const struct dump *d, const struct rl_producer *p)
{
    const struct rl_producer_batch *first = &p->batches[0], *last = &p->batches[p->batch_count - 1];
    int64_t last_offset = last->base_offset + last->last_offset_delta;

    if (d->options->json)
        print_json(json_pack("{s:I, s:i, s:i, s:i, s:i, s:I, s:I}", "producer_id", (json_int_t)p->producer_id,
                             "producer_epoch", (int)p->producer_epoch, "batches", (int)p->batch_count,
                             "first_sequence", (int)first->first_sequence, "last_sequence",
                             (int)last->last_sequence, "last_offset", (json_int_t)last_offset, "last_used",
                             (json_int_t)p->last_used_ms));
    else
        printf("producerId: %" PRId64 " producerEpoch: %d batches: %u firstSequence: %d lastSequence: %d lastOffset: %"
               PRId64 " lastTimestamp: %" PRId64 "\n", p->producer_id, p->producer_epoch, p->batch_count,
               first->first_sequence, last->last_sequence, last_offset, p->last_used_ms);
}

static rl_status dump_snapshot(const struct dump *d, struct rl_slice file)
{
    struct rl_producer_state *state = rl_producer_state_create(0);
    int64_t left = d->options->limit;

    rl_status status = rl_snapshot_decode(file, d->offset, state);
    if (status == RL_OK) {
        RL_LIST_EACH(node, &state->by_use) {
            if (left-- > 0)
                dump_producer(d, RL_LIST_ENTRY(node, struct rl_producer, by_use));
        }
    }
    rl_producer_state_free(state);
    return status;
}

static void print_segment(const struct dump *d, const struct rl_segment *seg)
{
    if (d->options->json)
        print_json(json_pack("{s:I, s:I, s:I, s:I, s:I}", "segment", (json_int_t)seg->base_offset, "size",
                             (json_int_t)seg->size_bytes, "index_entries", (json_int_t)seg->index_entries,
                             "time_entries", (json_int_t)seg->time_entries, "max_timestamp",
                             (json_int_t)seg->max_timestamp_ms));
    else
        printf("segment: %" PRId64 " size: %u indexEntries: %u timeIndexEntries: %u maxTimestamp: %" PRId64 "\n",
               seg->base_offset, seg->size_bytes, seg->index_entries, seg->time_entries, seg->max_timestamp_ms);
}

static void print_mark(const struct dump *d, const struct rl_append_mark *mark)
{
    if (d->options->json)
        print_json(json_pack("{s:I, s:I}", "append_offset", (json_int_t)mark->offset, "append_time",
                             (json_int_t)mark->ms));
    else
        printf("appended: %" PRId64 " appendTime: %" PRId64 "\n", mark->offset, mark->ms);
}

static rl_status dump_checkpoint(const struct dump *d, struct rl_slice file)
{
    struct rl_checkpoint c = { 0 };

    rl_status status = rl_checkpoint_decode(file, &c);
    if (status != RL_OK)
        return status;
    if (d->options->json)
        print_json(json_pack("{s:I, s:I, s:I, s:I, s:I}", "start_offset", (json_int_t)c.start_offset,
                             "recovery_offset", (json_int_t)c.recovery.offset, "recovery_position",
                             (json_int_t)c.recovery.pos, "saved_offset", (json_int_t)c.saved.offset,
                             "saved_position", (json_int_t)c.saved.pos));
    else
        printf("logStartOffset: %" PRId64 " recoveryPoint: %" PRId64 " (position %u) savePoint: %" PRId64
               " (position %u)\n", c.start_offset, c.recovery.offset, c.recovery.pos, c.saved.offset, c.saved.pos);
    for (uint32_t i = 0; i < c.segment_count; i++)
        print_segment(d, &c.segments[i]);
    for (uint32_t i = 0; i < c.append_times.count; i++)
        print_mark(d, &c.append_times.marks[i]);
    rl_checkpoint_done(&c);
    return RL_OK;
}

static rl_status dump_side_file(struct dump *d, enum rl_log_file_kind kind)
{
    struct rl_text file = { 0 };

    rl_status status = rl_side_file_load(d->disk, d->path, SIDE_FILE_BYTES_MAX, &file);
    if (status == RL_OK) {
        struct rl_slice content = rl_text_slice(&file);
        if (kind == RL_FILE_INDEX)
            dump_index(d, content);
        else if (kind == RL_FILE_TIME_INDEX)
            dump_time_index(d, content);
        else if (kind == RL_FILE_SNAPSHOT)
            status = dump_snapshot(d, content);
        else if (kind == RL_FILE_CHECKPOINT)
            status = dump_checkpoint(d, content);
        else
            fwrite(content.data, 1, content.bytes, stdout);
    }
    rl_text_done(&file);
    return status;
}

/* ---- which ---- */

static int dump_file(const char *path, const struct rl_log_command_options *options)
{
    const char *slash = strrchr(path, '/');
    struct dump d = { .disk = rl_disk_real(), .path = path, .options = options };
    enum rl_log_file_kind kind = rl_log_file_kind(slash != NULL ? slash + 1 : path, &d.offset);

    if (kind >= RL_FILE_SYNC_FAILED) {
        fprintf(stderr, "ringlog log: %s: not a file of a log; its name says what it is, and must be kept\n", path);
        return EXIT_UNREADABLE;
    }
    if (!options->json)
        printf("Dumping %s\n", path);
    rl_status status = kind == RL_FILE_LOG ? dump_log(&d) : dump_side_file(&d, kind);
    if (status == RL_OK)
        return d.code;
    fprintf(stderr, "ringlog log: %s: %s\n", path, rl_status_text(status));
    return status == RL_ECORRUPT ? EXIT_WRONG : EXIT_UNREADABLE;
}

/* Of a partition: every segment, in order. */
int rl_log_dump(const char *path, const struct rl_log_command_options *options)
{
    struct rl_log_files files;
    int code = 0;
    bool any = false;

    if (rl_log_files_list(rl_disk_real(), path, &files) != RL_OK)
        return dump_file(path, options);
    for (uint32_t i = 0; i < files.count; i++) {
        struct rl_text file = { 0 };
        if (files.files[i].kind != RL_FILE_LOG)
            continue;
        any = true;
        rl_text_printf(&file, "%s/%s", path, files.files[i].name);
        int one = dump_file(rl_text_string(&file), options);
        rl_text_done(&file);
        code = RL_MAX(code, one);
    }
    rl_log_files_done(&files);
    if (any)
        return code;
    fprintf(stderr, "ringlog log: %s: no .log file in it\n", path);
    return EXIT_UNREADABLE;
}
