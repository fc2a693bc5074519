/* tests/sim/sim_audit.c — after every start: read everything there is and compare it with the model.
 *
 * One connection, one question per partition at a time, in a calm world; the broker's own work goes on
 * meanwhile and a crash may come in the middle. */
#include "broker/kafka_error.h"
#include "core/memory.h"
#include "sim.h"
#include "sim_heap.h"
#include "wire/api_table.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_fetch.h"
#include "wire/msg_list_offsets.h"
#include "wire/msg_metadata.h"
#include "wire/msg_offset_for_leader_epoch.h"
#include <string.h>

#define TURNS_MAX 400000
#define FETCH_BYTES (1 << 18)
#define FETCH_BATCHES_MAX (FETCH_BYTES / 61)

static void connect_auditor(struct sim *sim)
{
    for (uint32_t turn = 0; sim->auditor.client == NULL; turn++) {
        if (turn == TURNS_MAX)
            sim_fail(sim, "nobody listens");
        if (!sim_link_open(sim, &sim->auditor))
            sim_turn(sim, false);
    }
}

/* The next reply; the broker must answer. */
static const void *await_reply(struct sim *sim, struct sim_call *ret_call)
{
    struct sim_call oldest = sim->auditor.calls[0];
    bool lost;

    for (uint32_t turn = 0;; turn++) {
        const void *reply = sim_link_receive(sim, &sim->auditor, ret_call, &lost);
        if (reply != NULL)
            return reply;
        if (lost || turn == TURNS_MAX)
            sim_fail(sim, "no answer to API %d version %d: %s", oldest.key, oldest.version,
                     lost ? "connection closed" : "silence");
        sim_turn(sim, false);
    }
}

const void *sim_audit_ask(struct sim *sim, int16_t key, int16_t version, const void *message)
{
    struct sim_call call = { .key = key, .version = version };

    connect_auditor(sim);
    sim_link_send(sim, &sim->auditor, call, message, false);
    return await_reply(sim, &call);
}

static const struct rl_metadata_response *ask_metadata(struct sim *sim)
{
    struct rl_metadata_request message;

    rl_metadata_request_init(&message);
    message.topics = NULL;
    message.topics_count = -1;
    message.allow_auto_topic_creation = false;
    return sim_audit_ask(sim, RL_API_METADATA, 9, &message);
}

/* Leader epochs by partition of the model; -1: not there. */
static void learn_epochs(struct sim *sim, int32_t epochs[SIM_PARTITIONS_MAX])
{
    const struct rl_metadata_response *reply = ask_metadata(sim);

    for (uint32_t i = 0; i < sim->model.partition_count; i++)
        epochs[i] = -1;
    for (int32_t t = 0; t < reply->topics_count; t++) {
        const struct rl_metadata_response_topic *topic = &reply->topics[t];
        for (uint32_t i = 0; i < sim->model.partition_count; i++) {
            const struct sim_partition *p = &sim->model.partitions[i];
            if (!rl_slice_equal(topic->name, rl_slice_of_string(sim->model.topics[p->topic].name)))
                continue;
            for (int32_t j = 0; j < topic->partitions_count; j++)
                if (topic->partitions[j].partition_index == p->index)
                    epochs[i] = topic->partitions[j].leader_epoch;
        }
    }
}

/* An error of a partition: only where something failed in this life. */
static bool is_offline(struct sim *sim, uint32_t partition, int16_t error)
{
    const struct sim_partition *p = &sim->model.partitions[partition];

    if (error == 0)
        return false;
    if (error != RL_KAFKA_KAFKA_STORAGE_ERROR || !sim->disk.faulty)
        sim_fail(sim, "%s-%d cannot be read: error %d%s", sim->model.topics[p->topic].name, p->index,
                 error, sim->damage.on ? ", and that is not where the flipped bit is" : "");
    sim_noted(sim, SIM_OFFLINE, 1);
    return true;
}

static void send_of(struct sim *sim, uint32_t partition, int16_t key, int16_t version, const void *message)
{
    struct sim_call call = { .key = key, .version = version, .count = 1 };

    call.items[0].partition = partition;
    sim_link_send(sim, &sim->auditor, call, message, false);
}

static void send_list_offsets(struct sim *sim, uint32_t partition, int64_t timestamp_ms)
{
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct rl_list_offsets_request_partition part;
    struct rl_list_offsets_request_topic topic;
    struct rl_list_offsets_request message;

    rl_list_offsets_request_partition_init(&part);
    rl_list_offsets_request_topic_init(&topic);
    rl_list_offsets_request_init(&message);
    part.partition_index = p->index;
    part.timestamp = timestamp_ms;
    topic.name = rl_slice_of_string(sim->model.topics[p->topic].name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    message.replica_id = -1;
    message.topics = &topic;
    message.topics_count = 1;
    send_of(sim, partition, RL_API_LIST_OFFSETS, 7, &message);
}

static void send_fetch(struct sim *sim, uint32_t partition, int64_t offset)
{
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct rl_fetch_request_partition part;
    struct rl_fetch_request_topic topic;
    struct rl_fetch_request message;

    rl_fetch_request_partition_init(&part);
    rl_fetch_request_topic_init(&topic);
    rl_fetch_request_init(&message);
    part.partition = p->index;
    part.fetch_offset = offset;
    part.partition_max_bytes = FETCH_BYTES;
    topic.topic = rl_slice_of_string(sim->model.topics[p->topic].name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    message.max_bytes = FETCH_BYTES;
    message.topics = &topic;
    message.topics_count = 1;
    send_of(sim, partition, RL_API_FETCH, 12, &message);
}

/* What OffsetForLeaderEpoch says of an older epoch must lie within what is there. */
static void check_epoch_end(struct sim *sim, uint32_t partition, int32_t epoch, int64_t end_offset)
{
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct rl_offset_for_leader_epoch_request_partition part = { .partition = p->index,
        .current_leader_epoch = -1, .leader_epoch = epoch };
    struct rl_offset_for_leader_epoch_request_topic topic = {
        .topic = rl_slice_of_string(sim->model.topics[p->topic].name), .partitions = &part,
        .partitions_count = 1 };
    struct rl_offset_for_leader_epoch_request message = { .replica_id = -1, .topics = &topic,
                                                          .topics_count = 1 };
    const struct rl_offset_for_leader_epoch_response *reply =
        sim_audit_ask(sim, RL_API_OFFSET_FOR_LEADER_EPOCH, 4, &message);
    const struct rl_offset_for_leader_epoch_response_partition *answer = reply->topics[0].partitions;

    if (answer->error_code != 0 || answer->end_offset > end_offset)
        sim_fail(sim, "%s-%d: epoch %d ends at %lld (error %d), the log at %lld",
                 sim->model.topics[p->topic].name, p->index, epoch, (long long)answer->end_offset,
                 answer->error_code, (long long)end_offset);
}

static bool is_damaged(const struct sim *sim, uint32_t partition, int64_t offset)
{
    return sim->damage.on && sim->damage.partition == partition && offset >= sim->damage.from_offset &&
           offset < sim->damage.to_offset;
}

/* What is damaged is not served, and all around it is as it was; the offset behind the batch. */
static int64_t pass_damage(struct sim *sim, struct sim_served *entry, int32_t epoch, int64_t offset)
{
    uint32_t batch = sim->model.partitions[sim->damage.partition].at[offset] - 1;

    *entry = (struct sim_served){ offset, epoch, batch };
    sim_noted(sim, SIM_NOT_SERVED, 1);
    return offset + sim->model.batches[batch].records;
}

/* One partition being read from its beginning to its end. */
struct reading {
    enum { READ_START, READ_END, READ_RECORDS, READ_OVER, READ_OFFLINE } next;
    bool asked;
    int32_t epoch;
    int64_t offset, end_offset;
    struct sim_served *list;
    uint32_t count, capacity;
};
static struct reading readings[SIM_PARTITIONS_MAX];

static void reading_begin(struct reading *r, int32_t epoch)
{
    struct sim_served *list = r->list;
    uint32_t capacity = r->capacity;

    *r = (struct reading){ .epoch = epoch, .list = list, .capacity = capacity,
                           .next = epoch < 0 ? READ_OFFLINE : READ_START };
}

static void reading_ask(struct sim *sim, uint32_t partition)
{
    struct reading *r = &readings[partition];

    r->asked = true;
    if (r->next == READ_RECORDS)
        send_fetch(sim, partition, r->offset);
    else
        send_list_offsets(sim, partition, r->next == READ_START ? -2 : -1);
}

static void reading_got_records(struct sim *sim, uint32_t partition,
                                const struct rl_fetch_response_partition *part)
{
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct reading *r = &readings[partition];
    uint32_t more;

    if (r->count + FETCH_BATCHES_MAX > r->capacity) {
        r->capacity = 2 * (r->count + FETCH_BATCHES_MAX);
        r->list = sim_world_realloc(r->list, r->capacity * sizeof *r->list);
    }
    if (part->error_code == RL_KAFKA_CORRUPT_MESSAGE && is_damaged(sim, partition, r->offset)) {
        int32_t epoch = r->count == 0 ? 0 : r->list[r->count - 1].epoch;
        r->offset = pass_damage(sim, &r->list[r->count], epoch, r->offset);
        r->count++;
        return;
    }
    if (is_offline(sim, partition, part->error_code)) {
        r->next = READ_OFFLINE;
        return;
    }
    if (part->records.bytes == 0)
        sim_fail(sim, "%s-%d: nothing at offset %lld, the end is %lld",
                 sim->model.topics[p->topic].name, p->index, (long long)r->offset,
                 (long long)r->end_offset);
    r->offset = sim_model_served(sim, partition, r->offset, part->records, r->list + r->count,
                                 r->capacity - r->count, &more);
    r->count += more;
}

static void reading_got_offset(struct sim *sim, uint32_t partition,
                               const struct rl_list_offsets_response_partition *part)
{
    struct sim_partition *p = &sim->model.partitions[partition];
    struct reading *r = &readings[partition];

    if (is_offline(sim, partition, part->error_code)) {
        r->next = READ_OFFLINE;
    } else if (r->next == READ_START) {
        if (part->offset != 0)
            sim_fail(sim, "%s-%d begins at offset %lld", sim->model.topics[p->topic].name, p->index,
                     (long long)part->offset);
        r->next = READ_END;
    } else {
        r->end_offset = part->offset;
        r->next = READ_RECORDS;
        p->audit_epoch = r->epoch;      /* the broker may die before the audit's end: not yet p->epoch */
    }
}

static void reading_take(struct sim *sim, const struct sim_call *call, const void *reply)
{
    uint32_t partition = call->items[0].partition;
    struct reading *r = &readings[partition];

    r->asked = false;
    if (call->key == RL_API_FETCH)
        reading_got_records(sim, partition,
                            &((const struct rl_fetch_response *)reply)->responses[0].partitions[0]);
    else
        reading_got_offset(sim, partition,
                           &((const struct rl_list_offsets_response *)reply)->topics[0].partitions[0]);
    if (r->next == READ_RECORDS && r->offset >= r->end_offset)
        r->next = READ_OVER;
}

/* One question per partition on its way, all partitions at a time. */
static void read_all(struct sim *sim)
{
    struct sim_call call;

    connect_auditor(sim);
    for (;;) {
        for (uint32_t i = 0; i < sim->model.partition_count; i++) {
            if (readings[i].next < READ_OVER && !readings[i].asked &&
                sim->auditor.call_count < SIM_CALLS_MAX)
                reading_ask(sim, i);
        }
        if (sim->auditor.call_count == 0)
            return;
        do {
            const void *reply = await_reply(sim, &call);
            reading_take(sim, &call, reply);
        } while (sim->auditor.call_count > 0);
    }
}

static void audit_partition(struct sim *sim, uint32_t partition)
{
    const struct reading *r = &readings[partition];
    int32_t epoch_before = sim->model.partitions[partition].epoch;

    if (r->next == READ_OFFLINE)
        return;
    sim_model_audit(sim, partition, r->list, r->count, r->end_offset, r->epoch);
    if (epoch_before > 0 && sim_one_in(sim, 4))
        check_epoch_end(sim, partition, (int32_t)sim_below(sim, (uint64_t)epoch_before), r->end_offset);
}

static void clip_readers(struct sim *sim)
{
    for (uint32_t c = 0; c < sim->client_count; c++)
        for (uint32_t i = 0; i < sim->model.partition_count; i++)
            sim->clients[c].at[i].read_offset = RL_MIN(sim->clients[c].at[i].read_offset,
                                                       sim->model.partitions[i].high_watermark);
}

void sim_audit(struct sim *sim)
{
    int32_t epochs[SIM_PARTITIONS_MAX];

    learn_epochs(sim, epochs);
    for (uint32_t i = 0; i < sim->model.partition_count; i++) {
        const struct sim_topic *topic = &sim->model.topics[sim->model.partitions[i].topic];
        if (epochs[i] < 0 && topic->acknowledged)
            sim_fail(sim, "topic %s was acknowledged and is gone", topic->name);
        reading_begin(&readings[i], topic->acknowledged ? epochs[i] : -1);
    }
    read_all(sim);
    for (uint32_t i = 0; i < sim->model.partition_count; i++)
        audit_partition(sim, i);
    clip_readers(sim);
    sim_link_close(sim, &sim->auditor, false);
}

/* Those that nobody has been told of yet. */
void sim_audit_create_topics(struct sim *sim)
{
    for (uint32_t t = 0; t < sim->model.topic_count; t++) {
        struct sim_topic *model = &sim->model.topics[t];
        struct rl_create_topics_request_config config;
        struct rl_create_topics_request_topic topic;
        struct rl_create_topics_request message;
        if (model->acknowledged)
            continue;
        memset(&config, 0, sizeof config);
        rl_create_topics_request_topic_init(&topic);
        rl_create_topics_request_init(&message);
        topic.name = rl_slice_of_string(model->name);
        topic.num_partitions = model->partitions;
        topic.replication_factor = 1;
        if (model->config[0] != NULL) {
            config.name = rl_slice_of_string(model->config[0]);
            config.value = rl_slice_of_string(model->config[1]);
            topic.configs = &config;
            topic.configs_count = 1;
        }
        message.topics = &topic;
        message.topics_count = 1;
        message.timeout_ms = 30000;
        bool asked = model->asked;
        model->asked = true;            /* whatever becomes of us meanwhile */
        const struct rl_create_topics_response *reply = sim_audit_ask(sim, RL_API_CREATE_TOPICS, 5, &message);
        int16_t error = reply->topics[0].error_code;
        if (error != 0 && !(error == RL_KAFKA_TOPIC_ALREADY_EXISTS && asked) &&
            !(sim->disk.faulty && (error == RL_KAFKA_KAFKA_STORAGE_ERROR ||
                                   error == RL_KAFKA_UNKNOWN_SERVER_ERROR)))
            sim_fail(sim, "CreateTopics %s: error %d", model->name, error);
        model->acknowledged = error == 0 || error == RL_KAFKA_TOPIC_ALREADY_EXISTS;
        sim_noted(sim, SIM_TOPICS, model->acknowledged);
    }
    sim_link_close(sim, &sim->auditor, false);
}
