/* perf/growth_hops.c — messages between shards per request, counted: one line of JSON.
 *
 *     perf_hops SHARDS        {"produce_here": 0, "produce_other": 2, ...}
 *
 * The real broker on a kernel in memory, every request by itself, so that nothing is shared with
 * another one.  "here": the connection's shard owns the partition; "other": another one does, left
 * out with one shard.  "waits": the fetch finds nothing, is parked, and is answered by a produce,
 * whose own messages do not count.
 * Failures: it panics; figures that are not there cannot be believed. */
#include "core/memory.h"
#include "perf/memory_broker.h"
#include <stdio.h>
#include <stdlib.h>

#define SHARDS_MAX 16
#define FETCH_BYTES (1 << 20)
#define WAIT_MS 500
#define RECORDS 7                       /* of 100 bytes in a batch of 1,000 */

static struct rl_memory_broker *broker;

static struct rl_slice produce_frame(int32_t partition)
{
    return rl_memory_produce_frame(&(struct rl_memory_produce){
        .topic = "hops", .version = 9, .acks = 1, .partition_first = partition, .partitions = 1,
        .record_bytes = 100, .batch_bytes = 1000 });
}

static struct rl_slice fetch_frame(int32_t partition, int64_t offset, int32_t wait_ms)
{
    return rl_memory_fetch_frame(&(struct rl_memory_fetch){
        .topic = "hops", .version = 11, .partition_first = partition, .partitions = 1, .offset = offset,
        .wait_ms = wait_ms, .partition_bytes_max = FETCH_BYTES });
}

/* How many messages the request caused until all was quiet again; the frame is freed. */
static uint64_t messages_of(struct rl_slice frame)
{
    uint64_t before = rl_memory_broker_messages(broker);
    rl_memory_broker_run(broker, frame);
    rl_free((void *)(uintptr_t)frame.data);
    return rl_memory_broker_messages(broker) - before;
}

static void tell(bool *comma, const char *what, bool other, uint64_t messages)
{
    printf("%s\"%s_%s\": %llu", *comma ? ", " : "{", what, other ? "other" : "here",
           (unsigned long long)messages);
    *comma = true;
}

static void tell_partition(int32_t partition, bool *told, bool *comma)
{
    messages_of(produce_frame(partition));      /* the first one opens the log */
    uint64_t produce = messages_of(produce_frame(partition));
    bool other = produce > 0;
    if (told[other])
        return;
    told[other] = true;
    tell(comma, "produce", other, produce);
    tell(comma, "fetch", other, messages_of(fetch_frame(partition, 0, 0)));
    int64_t end_offset = 2 * RECORDS;
    tell(comma, "fetch_empty", other, messages_of(fetch_frame(partition, end_offset, 0)));
    uint64_t parked = messages_of(fetch_frame(partition, end_offset, WAIT_MS));
    tell(comma, "fetch_waits", other, parked + messages_of(produce_frame(partition)) - produce);
}

int main(int argc, char **argv)
{
    int32_t shards = argc == 2 ? (int32_t)strtol(argv[1], NULL, 10) : 0;
    if (shards < 1 || shards > SHARDS_MAX) {
        fprintf(stderr, "usage: perf_hops SHARDS (1 to %d)\n", SHARDS_MAX);
        return 2;
    }
    broker = rl_memory_broker_create((uint32_t)shards);
    rl_memory_broker_create_topic(broker, "hops", shards);
    bool told[2] = { false, false };
    bool comma = false;
    /* As many partitions as shards: each shard owns one. */
    for (int32_t p = 0; p < shards; p++)
        tell_partition(p, told, &comma);
    puts("}");
    rl_memory_broker_free(broker);
    return 0;
}
