/* tests/sim/sim_audit.c — after every start: read everything there is and compare it with the model.
 *
 * One connection, one question at a time, in a calm world; the broker's own work goes on meanwhile
 * and a crash may come in the middle. */
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
#define LIST_MAX 65536

/* The reply; the broker must answer. */
static const void *ask(struct sim *sim, int16_t key, int16_t version, const void *message)
{
    struct sim_call call = { .key = key, .version = version };
    const void *reply = NULL;
    bool lost;

    for (uint32_t turn = 0; sim->auditor.client == NULL; turn++) {
        if (turn == TURNS_MAX)
            sim_fail(sim, "nobody listens");
        if (!sim_link_open(sim, &sim->auditor))
            sim_turn(sim, false);
    }
    sim_link_send(sim, &sim->auditor, call, message, false);
    for (uint32_t turn = 0; reply == NULL; turn++) {
        sim_turn(sim, false);
        reply = sim_link_receive(sim, &sim->auditor, &call, &lost);
        if (lost || turn == TURNS_MAX)
            sim_fail(sim, "no answer to API %d version %d: %s", key, version,
                     lost ? "connection closed" : "silence");
    }
    return reply;
}

static const struct rl_metadata_response *ask_metadata(struct sim *sim)
{
    struct rl_metadata_request message;

    rl_metadata_request_init(&message);
    message.topics = NULL;
    message.topics_count = -1;
    message.allow_auto_topic_creation = false;
    return ask(sim, RL_API_METADATA, 9, &message);
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

/* ListOffsets; false: the partition is offline. */
static bool ask_offset(struct sim *sim, uint32_t partition, int64_t timestamp_ms, int64_t *ret_offset)
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
    const struct rl_list_offsets_response *reply = ask(sim, RL_API_LIST_OFFSETS, 7, &message);
    if (is_offline(sim, partition, reply->topics[0].partitions[0].error_code))
        return false;
    *ret_offset = reply->topics[0].partitions[0].offset;
    return true;
}

static const struct rl_fetch_response_partition *ask_records(struct sim *sim, uint32_t partition,
                                                             int64_t offset)
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
    part.partition_max_bytes = 1 << 18;
    topic.topic = rl_slice_of_string(sim->model.topics[p->topic].name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    message.max_bytes = 1 << 18;
    message.topics = &topic;
    message.topics_count = 1;
    const struct rl_fetch_response *reply = ask(sim, RL_API_FETCH, 12, &message);
    return &reply->responses[0].partitions[0];
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
        ask(sim, RL_API_OFFSET_FOR_LEADER_EPOCH, 4, &message);
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

static void audit_partition(struct sim *sim, uint32_t partition, int32_t epoch)
{
    static struct sim_served list[LIST_MAX];
    struct sim_partition *p = &sim->model.partitions[partition];
    int64_t end_offset, start_offset, offset = 0;
    uint32_t count = 0, more;
    int32_t epoch_before = p->epoch;

    if (!ask_offset(sim, partition, -2, &start_offset) || !ask_offset(sim, partition, -1, &end_offset))
        return;
    if (start_offset != 0)
        sim_fail(sim, "%s-%d begins at offset %lld", sim->model.topics[p->topic].name, p->index,
                 (long long)start_offset);
    p->audit_epoch = epoch;             /* the broker may die before the audit's end: not yet p->epoch */
    while (offset < end_offset) {
        const struct rl_fetch_response_partition *part = ask_records(sim, partition, offset);
        if (part->error_code == RL_KAFKA_CORRUPT_MESSAGE && is_damaged(sim, partition, offset)) {
            offset = pass_damage(sim, &list[count], count == 0 ? 0 : list[count - 1].epoch, offset);
            count++;
            continue;
        }
        if (is_offline(sim, partition, part->error_code))
            return;
        if (part->records.bytes == 0)
            sim_fail(sim, "%s-%d: nothing at offset %lld, the end is %lld",
                     sim->model.topics[p->topic].name, p->index, (long long)offset,
                     (long long)end_offset);
        offset = sim_model_served(sim, partition, offset, part->records, list + count,
                                  LIST_MAX - count, &more);
        count += more;
        RL_ASSERT(count < LIST_MAX);
    }
    sim_model_audit(sim, partition, list, count, end_offset, epoch);
    if (epoch_before > 0 && sim_one_in(sim, 4))
        check_epoch_end(sim, partition, (int32_t)sim_below(sim, (uint64_t)epoch_before), end_offset);
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
        if (epochs[i] >= 0 && topic->acknowledged)
            audit_partition(sim, i, epochs[i]);
    }
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
        const struct rl_create_topics_response *reply = ask(sim, RL_API_CREATE_TOPICS, 5, &message);
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
