/* tests/sim/sim_client.c — clients: they produce, retry, read and ask, each on one connection.
 *
 * A batch stays in its partition's queue until it is answered.  When an answer fails or the
 * connection is lost, nothing new is asked until everything on the way has ended; then the queues
 * are sent again from their beginnings, as an idempotent producer must and any producer may. */
#include "broker/kafka_error.h"
#include "core/memory.h"
#include "sim.h"
#include "wire/api_table.h"
#include "wire/msg_fetch.h"
#include "wire/msg_init_producer_id.h"
#include "wire/msg_list_offsets.h"
#include "wire/msg_metadata.h"
#include "wire/msg_produce.h"
#include <string.h>

#define PATIENCE_NS (INT64_C(20) * 1000000000)
#define PIPELINE_MAX 6
#define ATTEMPTS_MAX 8                  /* of producers without idempotence */

static int64_t now_ns(const struct sim *sim)
{
    return rl_mem_now_ns(sim->mem);
}

static void wait_a_bit(struct sim *sim, struct sim_client *c)
{
    c->again_ns = now_ns(sim) + 1000000 + (int64_t)sim_below(sim, 20000000);
}

void sim_client_lost(struct sim *sim, struct sim_client *c)
{
    sim_link_close(sim, &c->link, false);
    c->draining = false;
    c->asked_id = false;
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++)
        c->at[p].sent = 0;
    wait_a_bit(sim, c);
}

bool sim_client_idle(const struct sim_client *c)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++)
        if (c->at[p].queued > 0)
            return false;
    return c->link.client == NULL || c->link.call_count == 0;
}

static const char *topic_of(const struct sim *sim, uint32_t partition)
{
    return sim->model.topics[sim->model.partitions[partition].topic].name;
}

/* ---- produce ---- */

/* A broker knows the last five batches of a producer: one that was answered with a timeout must not fall
 * out of them while those behind it go on. */
static bool is_far_ahead(const struct sim *sim, const struct sim_client *c, uint32_t partition)
{
    if (!c->idempotent || c->at[partition].queued == 0)
        return false;
    const struct sim_batch *oldest = &sim->model.batches[c->at[partition].queue[0]];
    return c->at[partition].next_sequence - oldest->sequence >= SIM_QUEUE_MAX;
}

/* The next batch for the partition: one to be sent again, or a new one with these acks; -1: none. */
static int64_t next_batch(struct sim *sim, struct sim_client *c, uint32_t partition, int16_t acks)
{
    if (!sim->model.partitions[partition].audited)
        return -1;                      /* offline at the start: what it comes back with is read first */
    if (c->at[partition].sent < c->at[partition].queued) {
        uint32_t id = c->at[partition].queue[c->at[partition].sent];
        if (sim->model.batches[id].acks != acks)
            return -1;
        c->at[partition].sent++;
        return id;
    }
    if (c->at[partition].queued == SIM_QUEUE_MAX || sim->calm || is_far_ahead(sim, c, partition))
        return -1;
    uint32_t id = sim_model_batch(sim, c->index, partition, c->at[partition].next_sequence++, acks,
                                  c->idempotent, c->idempotent ? c->producer_id : -1);
    if (acks != 0) {
        c->at[partition].queue[c->at[partition].queued++] = id;
        c->at[partition].sent++;
    }
    return id;
}

static int16_t choose_acks(struct sim *sim, const struct sim_client *c, uint32_t partition)
{
    static const int16_t all[] = { -1, 1, 0, -1 };

    if (c->at[partition].sent < c->at[partition].queued)
        return sim->model.batches[c->at[partition].queue[c->at[partition].sent]].acks;
    return c->idempotent ? -1 : all[sim_below(sim, 4)];
}

static void ask_produce(struct sim *sim, struct sim_client *c)
{
    struct rl_produce_request_partition parts[SIM_CALL_ITEMS];
    struct rl_produce_request_topic topics[SIM_CALL_ITEMS];
    struct rl_produce_request ask;
    struct sim_call call = { .key = RL_API_PRODUCE, .version = 9 };
    uint32_t wanted = 1 + (uint32_t)sim_below(sim, 3), count = sim->model.partition_count;
    uint32_t first = (uint32_t)sim_below(sim, count);

    rl_produce_request_init(&ask);
    ask.acks = choose_acks(sim, c, first);
    for (uint32_t i = 0; i < count && call.count < wanted; i++) {
        uint32_t partition = (first + i) % count;
        int64_t id = next_batch(sim, c, partition, ask.acks);
        if (id < 0)
            continue;
        struct sim_batch *b = &sim->model.batches[id];
        if (b->attempts++ > 0)
            sim_noted(sim, SIM_RETRIES, 1);
        b->sent_at = RL_MIN(b->sent_at, sim->disk.calls);
        sim_say(sim, "sent: partition %u batch %u sequence %u of client %u, attempt %u", partition,
                (uint32_t)id, b->sequence, c->index, b->attempts);
        rl_produce_request_partition_init(&parts[call.count]);
        rl_produce_request_topic_init(&topics[call.count]);
        parts[call.count].index = sim->model.partitions[partition].index;
        parts[call.count].records = rl_slice_of(b->bytes, b->size_bytes);
        topics[call.count].name = rl_slice_of_string(topic_of(sim, partition));
        topics[call.count].partition_data = &parts[call.count];
        topics[call.count].partition_data_count = 1;
        call.items[call.count++] = (struct sim_call_item){ .partition = partition, .batch = (uint32_t)id };
    }
    if (call.count == 0)
        return;
    ask.timeout_ms = sim_one_in(sim, 20) ? 1 : 30000;
    ask.topic_data = topics;
    ask.topic_data_count = (int32_t)call.count;
    sim_noted(sim, SIM_OPERATIONS, ask.acks == 0);      /* no answer comes */
    sim_link_send(sim, &c->link, call, &ask, ask.acks == 0);
}

/* The batch has its answer. */
static void take_from_queue(struct sim *sim, struct sim_client *c, uint32_t partition, uint32_t id)
{
    for (uint32_t i = 0; i < c->at[partition].queued; i++) {
        if (c->at[partition].queue[i] != id)
            continue;
        memmove(&c->at[partition].queue[i], &c->at[partition].queue[i + 1],
                (c->at[partition].queued - i - 1) * sizeof c->at[partition].queue[0]);
        c->at[partition].queued--;
        if (i < c->at[partition].sent)
            c->at[partition].sent--;
        return;
    }
    sim_fail(sim, "client %u: batch %u was answered twice", c->index, id);
}

static void produce_failed(struct sim *sim, struct sim_client *c, const struct sim_call_item *item,
                           int16_t error)
{
    const struct sim_batch *b = &sim->model.batches[item->batch];
    bool first = c->at[item->partition].queue[0] == item->batch;

    sim_noted(sim, SIM_ERRORS, 1);
    c->draining = true;
    switch (error) {
    case RL_KAFKA_REQUEST_TIMED_OUT:
    case RL_KAFKA_NOT_LEADER_OR_FOLLOWER:
        break;
    case RL_KAFKA_KAFKA_STORAGE_ERROR:
        if (!sim->disk.faulty)
            sim_fail(sim, "partition %u: a storage error, and the disk is well", item->partition);
        break;
    case RL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER:
        if (b->idempotent && !first)
            break;                      /* behind one that failed */
        /* fall through */
    default:
        sim_fail(sim, "partition %u: batch %u, attempt %u: error %d", item->partition, item->batch,
                 b->attempts, error);
    }
    if (!b->idempotent && b->attempts >= ATTEMPTS_MAX)
        take_from_queue(sim, c, item->partition, item->batch);
}

static void on_produced(struct sim *sim, struct sim_client *c, const struct sim_call *call,
                        const struct rl_produce_response *reply)
{
    if (reply->responses_count != (int32_t)call->count)
        sim_fail(sim, "a produce reply for %d of %u topics", reply->responses_count, call->count);
    for (uint32_t i = 0; i < call->count; i++) {
        const struct sim_call_item *item = &call->items[i];
        const struct rl_produce_response_partition *part = reply->responses[i].partition_responses;
        if (reply->responses[i].partition_responses_count != 1 ||
            part->index != sim->model.partitions[item->partition].index)
            sim_fail(sim, "a produce reply for another partition");
        if (part->error_code != 0) {
            produce_failed(sim, c, item, part->error_code);
            continue;
        }
        take_from_queue(sim, c, item->partition, item->batch);
        sim_model_acknowledged(sim, item->batch, part->base_offset);
    }
}

/* ---- fetch ---- */

/* A fetch being put together: its requests lie in the struct until it is sent. */
struct fetch {
    struct rl_fetch_request_partition parts[SIM_CALL_ITEMS];
    struct rl_fetch_request_topic topics[SIM_CALL_ITEMS];
    struct sim_call call;
};

static void add_to_fetch(struct sim *sim, struct fetch *f, uint32_t partition, int64_t offset)
{
    const struct sim_partition *p = &sim->model.partitions[partition];
    uint32_t n = f->call.count++;

    rl_fetch_request_partition_init(&f->parts[n]);
    rl_fetch_request_topic_init(&f->topics[n]);
    f->parts[n].partition = p->index;
    f->parts[n].fetch_offset = offset;
    f->parts[n].partition_max_bytes = sim_one_in(sim, 4) ? 1 + (int32_t)sim_below(sim, 2000) : 32768;
    f->topics[n].topic = rl_slice_of_string(topic_of(sim, partition));
    f->topics[n].partitions = &f->parts[n];
    f->topics[n].partitions_count = 1;
    f->call.items[n] = (struct sim_call_item){ .partition = partition, .offset = offset,
                                               .floor = RL_MAX(p->high_watermark, p->kill_end) };
}

static void send_fetch(struct sim *sim, struct sim_link *link, struct fetch *f)
{
    struct rl_fetch_request ask;

    if (f->call.count == 0)
        return;
    rl_fetch_request_init(&ask);
    f->call.key = RL_API_FETCH;
    f->call.version = 12;
    ask.max_wait_ms = sim_one_in(sim, 8) ? 20 : 0;
    ask.min_bytes = sim_one_in(sim, 8) ? 500 : 1;
    ask.max_bytes = 65536;
    ask.topics = f->topics;
    ask.topics_count = (int32_t)f->call.count;
    sim_link_send(sim, link, f->call, &ask, false);
}

static void ask_fetch(struct sim *sim, struct sim_client *c)
{
    struct fetch f = { .call.count = 0 };
    uint32_t wanted = 1 + (uint32_t)sim_below(sim, 3), count = sim->model.partition_count;
    uint32_t first = (uint32_t)sim_below(sim, count);

    for (uint32_t i = 0; i < count && f.call.count < wanted; i++) {
        uint32_t at = (first + i) % count;
        const struct sim_partition *p = &sim->model.partitions[at];
        if (!p->audited)
            continue;
        if (sim_one_in(sim, 16))
            c->at[at].read_offset = (int64_t)sim_below(sim, (uint64_t)p->high_watermark + 1);
        add_to_fetch(sim, &f, at, c->at[at].read_offset);
    }
    send_fetch(sim, &c->link, &f);
}

void sim_client_send_fetch(struct sim *sim, struct sim_link *link, struct sim_call call,
                           const uint32_t *partitions, const int64_t *offsets, uint32_t count)
{
    struct fetch f = { .call = call };

    f.call.count = 0;
    for (uint32_t i = 0; i < count; i++)
        add_to_fetch(sim, &f, partitions[i], offsets[i]);
    send_fetch(sim, link, &f);
}

/* An error of a read: allowed where the disk has failed. */
static void read_failed(struct sim *sim, uint32_t partition, const char *what, int16_t error)
{
    sim_noted(sim, SIM_ERRORS, 1);
    if (error == RL_KAFKA_NOT_LEADER_OR_FOLLOWER)
        return;
    if (error != RL_KAFKA_KAFKA_STORAGE_ERROR || !sim->disk.faulty)
        sim_fail(sim, "partition %u: %s answers error %d", partition, what, error);
}

/* What the reply says of a partition: those of one topic may come together, and in another order. */
static const struct rl_fetch_response_partition *fetched_of(struct sim *sim, uint32_t partition,
                                                            const struct rl_fetch_response *reply)
{
    const struct rl_fetch_response_partition *found = NULL;
    struct rl_slice name = rl_slice_of_string(topic_of(sim, partition));

    for (int32_t t = 0; t < reply->responses_count; t++) {
        const struct rl_fetch_response_topic *topic = &reply->responses[t];
        for (int32_t i = 0; rl_slice_equal(topic->topic, name) && i < topic->partitions_count; i++) {
            if (topic->partitions[i].partition_index != sim->model.partitions[partition].index)
                continue;
            if (found != NULL)
                sim_fail(sim, "partition %u is in a fetch reply twice", partition);
            found = &topic->partitions[i];
        }
    }
    if (found == NULL)
        sim_fail(sim, "partition %u is not in a fetch reply", partition);
    return found;
}

void sim_client_fetched(struct sim *sim, const struct sim_call *call, const void *reply,
                        int64_t ret_ends[SIM_CALL_ITEMS])
{
    for (uint32_t i = 0; i < call->count; i++) {
        const struct sim_call_item *item = &call->items[i];
        const struct rl_fetch_response_partition *part = fetched_of(sim, item->partition, reply);
        ret_ends[i] = -1;
        if (part->error_code != 0) {
            read_failed(sim, item->partition, "a fetch", part->error_code);
            continue;
        }
        sim_model_high_watermark(sim, item->partition, part->high_watermark, item->floor);
        int64_t end = sim_model_served(sim, item->partition, item->offset, part->records, NULL, 0, NULL);
        if (end > part->high_watermark)
            sim_fail(sim, "partition %u: served up to %lld, high watermark %lld", item->partition,
                     (long long)end, (long long)part->high_watermark);
        ret_ends[i] = end;
    }
}

static void on_fetched(struct sim *sim, struct sim_client *c, const struct sim_call *call,
                       const struct rl_fetch_response *reply)
{
    int64_t ends[SIM_CALL_ITEMS];

    sim_client_fetched(sim, call, reply, ends);
    for (uint32_t i = 0; i < call->count; i++)
        if (ends[i] >= 0)
            c->at[call->items[i].partition].read_offset = ends[i];
}

/* ---- small questions ---- */

static void ask_offsets(struct sim *sim, struct sim_client *c)
{
    struct rl_list_offsets_request_partition part;
    struct rl_list_offsets_request_topic topic;
    struct rl_list_offsets_request ask;
    uint32_t at = (uint32_t)sim_below(sim, sim->model.partition_count);
    const struct sim_partition *p = &sim->model.partitions[at];
    struct sim_call call = { .key = RL_API_LIST_OFFSETS, .version = 7, .count = 1 };

    if (!p->audited)
        return;
    call.items[0] = (struct sim_call_item){ .partition = at,
                                            .floor = RL_MAX(p->high_watermark, p->kill_end) };
    rl_list_offsets_request_partition_init(&part);
    rl_list_offsets_request_topic_init(&topic);
    rl_list_offsets_request_init(&ask);
    part.partition_index = p->index;
    part.timestamp = -1;
    topic.name = rl_slice_of_string(topic_of(sim, at));
    topic.partitions = &part;
    topic.partitions_count = 1;
    ask.replica_id = -1;
    ask.topics = &topic;
    ask.topics_count = 1;
    sim_link_send(sim, &c->link, call, &ask, false);
}

static void on_offsets(struct sim *sim, const struct sim_call *call,
                       const struct rl_list_offsets_response *reply)
{
    const struct rl_list_offsets_response_partition *part = reply->topics[0].partitions;

    if (part->error_code != 0)
        read_failed(sim, call->items[0].partition, "ListOffsets", part->error_code);
    else
        sim_model_high_watermark(sim, call->items[0].partition, part->offset, call->items[0].floor);
}

static void ask_metadata(struct sim *sim, struct sim_client *c)
{
    struct rl_metadata_request ask;

    rl_metadata_request_init(&ask);
    ask.topics_count = -1;
    ask.topics = NULL;
    ask.allow_auto_topic_creation = false;
    sim_link_send(sim, &c->link, (struct sim_call){ .key = RL_API_METADATA, .version = 9 }, &ask, false);
}

static void on_metadata(struct sim *sim, const struct rl_metadata_response *reply)
{
    for (uint32_t t = 0; t < sim->model.topic_count; t++) {
        bool found = false;
        for (int32_t i = 0; i < reply->topics_count; i++)
            found |= rl_slice_equal(reply->topics[i].name, rl_slice_of_string(sim->model.topics[t].name));
        if (!found && sim->model.topics[t].acknowledged)
            sim_fail(sim, "topic %s is gone", sim->model.topics[t].name);
    }
}

static void ask_producer_id(struct sim *sim, struct sim_client *c)
{
    struct rl_init_producer_id_request ask;

    rl_init_producer_id_request_init(&ask);
    ask.transaction_timeout_ms = 60000;
    c->asked_id = true;
    sim_link_send(sim, &c->link, (struct sim_call){ .key = RL_API_INIT_PRODUCER_ID, .version = 2 }, &ask,
                  false);
}

static void on_producer_id(struct sim *sim, struct sim_client *c,
                           const struct rl_init_producer_id_response *reply)
{
    c->asked_id = false;
    if (reply->error_code != 0) {
        sim_noted(sim, SIM_ERRORS, 1);
        if (!sim->disk.faulty && reply->error_code != RL_KAFKA_NOT_LEADER_OR_FOLLOWER)
            sim_fail(sim, "InitProducerId answers error %d", reply->error_code);
        wait_a_bit(sim, c);
        return;
    }
    for (uint32_t i = 0; i < sim->client_count; i++)
        if (sim->clients[i].producer_id == reply->producer_id)
            sim_fail(sim, "producer id %lld was given twice", (long long)reply->producer_id);
    c->producer_id = reply->producer_id;
}

/* ---- one step ---- */

static void on_reply(struct sim *sim, struct sim_client *c, const struct sim_call *call,
                     const void *reply)
{
    sim_noted(sim, SIM_OPERATIONS, 1);
    switch (call->key) {
    case RL_API_PRODUCE:
        on_produced(sim, c, call, reply);
        break;
    case RL_API_FETCH:
        on_fetched(sim, c, call, reply);
        break;
    case RL_API_LIST_OFFSETS:
        on_offsets(sim, call, reply);
        break;
    case RL_API_METADATA:
        on_metadata(sim, reply);
        break;
    default:
        on_producer_id(sim, c, reply);
    }
}

static void ask_something(struct sim *sim, struct sim_client *c)
{
    uint64_t dice = sim_below(sim, 100);

    if (c->idempotent && c->producer_id < 0) {
        if (!c->asked_id)
            ask_producer_id(sim, c);
    } else if (dice < 62 || sim->calm) {
        ask_produce(sim, c);
    } else if (dice < 95) {
        ask_fetch(sim, c);
    } else if (dice < 99) {
        ask_offsets(sim, c);
    } else {
        ask_metadata(sim, c);
    }
}

static void receive_all(struct sim *sim, struct sim_client *c)
{
    struct sim_call call;
    const void *reply;
    bool lost;

    while ((reply = sim_link_receive(sim, &c->link, &call, &lost)) != NULL)
        on_reply(sim, c, &call, reply);
    if (lost)
        sim_client_lost(sim, c);
    else if (c->link.call_count > 0 && now_ns(sim) - c->link.calls[0].sent_ns > PATIENCE_NS)
        sim_client_lost(sim, c);
}

void sim_client_act(struct sim *sim, struct sim_client *c)
{
    if (c->link.client == NULL) {
        if (now_ns(sim) >= c->again_ns && !sim_link_open(sim, &c->link))
            wait_a_bit(sim, c);
        if (c->link.client == NULL)
            return;
    }
    if (!sim->calm && sim_one_in(sim, 4000)) {
        bool reset = sim_one_in(sim, 2);
        sim_noted(sim, SIM_RESETS, reset);
        sim_link_close(sim, &c->link, reset);
        sim_client_lost(sim, c);
        return;
    }
    receive_all(sim, c);
    if (c->link.client == NULL || now_ns(sim) < c->again_ns)
        return;
    if (c->draining) {
        if (c->link.call_count > 0)
            return;
        c->draining = false;
        for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++)
            c->at[p].sent = 0;
        wait_a_bit(sim, c);
        return;
    }
    while (c->link.call_count < PIPELINE_MAX && !sim_one_in(sim, 3)) {
        uint32_t before = c->link.call_count;
        ask_something(sim, c);
        if (c->link.call_count == before)
            break;
    }
}
