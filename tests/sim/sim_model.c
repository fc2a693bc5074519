/* tests/sim/sim_model.c — what must be true, and the places where it is found not to be.
 *
 * Per partition the model knows which batch stands at which offset, as far as an answer or a fetch
 * has said so, and two ends: what lies before kill_end was written (acknowledged with acks=1, or
 * read by somebody), what lies before cut_end was synced (acknowledged with acks=all, and with it
 * everything in front).  After a start the whole partition is read: it must be a prefix of what was
 * known, at least up to the end that survives what happened, of batches that were sent, none of an
 * idempotent producer twice or out of order. */
#include "core/memory.h"
#include "log/batch.h"
#include "sim.h"
#include "sim_heap.h"
#include <stdio.h>
#include <string.h>

#define TIME_MS 1700000000000

/* ---- batches ---- */

uint32_t sim_model_batch(struct sim *sim, uint32_t client, uint32_t partition, uint32_t sequence,
                         int16_t acks, bool idempotent, int64_t producer_id)
{
    struct sim_model *m = &sim->model;
    uint32_t id = m->batch_count++;

    if (id == m->batch_capacity) {
        m->batch_capacity = RL_MAX(2 * id, 256);
        m->batches = sim_world_realloc(m->batches, m->batch_capacity * sizeof *m->batches);
    }
    struct sim_batch *b = &m->batches[id];
    *b = (struct sim_batch){ .partition = partition, .client = client, .sequence = sequence,
                             .acks = acks, .idempotent = idempotent, .offset = -1,
                             .records = 1 + (uint32_t)sim_below(sim, 3),
                             .acknowledged_at = UINT64_MAX, .sent_at = UINT64_MAX };
    if (idempotent)
        b->records = 1;                 /* so that a sequence is a number of a batch */
    uint32_t value_bytes = sim_one_in(sim, 16) ? 600 + (uint32_t)sim_below(sim, 2000)
                                               : 8 + (uint32_t)sim_below(sim, 120);
    b->bytes = sim_batch_build(&sim->random, id, b->records, value_bytes, TIME_MS + id, producer_id,
                               (int32_t)sequence, &b->size_bytes);
    return id;
}

static void grow(struct sim_partition *p, int64_t end)
{
    if (end <= p->capacity)
        return;
    int64_t capacity = RL_MAX(2 * end, 256);
    p->at = sim_world_realloc(p->at, (size_t)capacity * sizeof *p->at);
    memset(p->at + p->capacity, 0, (size_t)(capacity - p->capacity) * sizeof *p->at);
    p->capacity = capacity;
}

/* The batch stands at this offset: nothing else may ever have been said. */
static void stands(struct sim *sim, uint32_t id, int64_t offset)
{
    struct sim_batch *b = &sim->model.batches[id];
    struct sim_partition *p = &sim->model.partitions[b->partition];
    int64_t end = offset + b->records;

    grow(p, end);
    for (int64_t o = offset; o < end; o++) {
        if (p->at[o] != 0 && p->at[o] != id + 1)
            sim_fail(sim, "partition %u offset %lld: batch %u, where batch %u was before", b->partition,
                     (long long)o, id, p->at[o] - 1);
        p->at[o] = id + 1;
    }
    p->known = RL_MAX(p->known, end);
    if (b->idempotent && b->offset >= 0 && b->offset != offset)
        sim_fail(sim, "partition %u: batch %u of an idempotent producer at offset %lld and at %lld",
                 b->partition, id, (long long)b->offset, (long long)offset);
    b->offset = offset;
}

void sim_model_acknowledged(struct sim *sim, uint32_t id, int64_t base_offset)
{
    struct sim_batch *b = &sim->model.batches[id];
    struct sim_partition *p = &sim->model.partitions[b->partition];

    if (!p->audited)
        sim_fail(sim, "partition %u is offline and acknowledges batch %u", b->partition, id);
    if (base_offset < 0)
        sim_fail(sim, "partition %u: batch %u acknowledged at offset %lld", b->partition, id,
                 (long long)base_offset);
    if (b->attempts > 1 && b->idempotent && b->offset == base_offset)
        sim_noted(sim, SIM_SUPPRESSED, 1);
    stands(sim, id, base_offset);
    sim_say(sim, "acknowledged: partition %u offset %lld batch %u acks=%d", b->partition,
            (long long)base_offset, id, b->acks);
    b->acknowledged = true;
    b->acknowledged_at = RL_MIN(b->acknowledged_at, sim->disk.calls);
    p->kill_end = RL_MAX(p->kill_end, base_offset + b->records);
    if (b->acks == -1)
        p->cut_end = RL_MAX(p->cut_end, base_offset + b->records);
    sim_noted(sim, SIM_APPENDS, 1);
}

void sim_model_high_watermark(struct sim *sim, uint32_t partition, int64_t high_watermark, int64_t floor)
{
    struct sim_partition *p = &sim->model.partitions[partition];

    if (high_watermark < floor)
        sim_fail(sim, "partition %u: high watermark %lld, but %lld was known when it was asked",
                 partition, (long long)high_watermark, (long long)floor);
    p->high_watermark = RL_MAX(p->high_watermark, high_watermark);
}

/* ---- what is served ---- */

int64_t sim_model_served(struct sim *sim, uint32_t partition, int64_t offset, struct rl_slice records,
                         struct sim_served *list, uint32_t list_max, uint32_t *ret_count)
{
    struct sim_model *m = &sim->model;
    struct sim_partition *p = &m->partitions[partition];
    uint32_t count = 0;

    for (size_t at = 0; at < records.bytes;) {
        struct rl_batch header;
        uint8_t *bytes = (uint8_t *)(uintptr_t)records.data + at;
        if (rl_batch_read_header(bytes, records.bytes - at, &header) != RL_OK)
            sim_fail(sim, "partition %u offset %lld: no whole batch", partition, (long long)offset);
        uint32_t id = sim_batch_id(bytes, header.size_bytes);
        const struct sim_batch *b = id < m->batch_count ? &m->batches[id] : NULL;
        if (b == NULL || b->partition != partition || b->size_bytes != header.size_bytes ||
            memcmp(b->bytes + 16, bytes + 16, b->size_bytes - 16) != 0)
            sim_fail(sim, "partition %u offset %lld: %zu bytes that nobody sent", partition,
                     (long long)header.base_offset, header.size_bytes);
        if (at == 0 ? header.base_offset > offset || rl_batch_last_offset(&header) < offset
                    : header.base_offset != offset)
            sim_fail(sim, "partition %u: offset %lld was asked for, %lld came", partition,
                     (long long)offset, (long long)header.base_offset);
        if (header.partition_leader_epoch > RL_MAX(p->epoch, p->audit_epoch))
            sim_fail(sim, "partition %u offset %lld: leader epoch %d, the leader's is %d", partition,
                     (long long)offset, header.partition_leader_epoch, p->epoch);
        if (list != NULL) {
            if (count < list_max)
                list[count] = (struct sim_served){ header.base_offset, header.partition_leader_epoch, id };
        } else {
            stands(sim, id, header.base_offset);
            p->kill_end = RL_MAX(p->kill_end, rl_batch_last_offset(&header) + 1);
        }
        count++;
        offset = rl_batch_last_offset(&header) + 1;
        at += header.size_bytes;
    }
    sim_noted(sim, SIM_FETCHED, count);
    if (ret_count != NULL)
        *ret_count = RL_MIN(count, list_max);
    return offset;
}

/* ---- after a start ---- */

void sim_model_sync_failed(struct sim *sim, const char *path)
{
    char directory[SIM_PATH_BYTES];

    for (uint32_t i = 0; i < sim->model.partition_count; i++) {
        struct sim_partition *p = &sim->model.partitions[i];
        int bytes = snprintf(directory, sizeof directory, SIM_DATA_DIR "/%s-%d/",
                             sim->model.topics[p->topic].name, p->index);
        if (strncmp(path, directory, (size_t)bytes) != 0)
            continue;
        p->lost = true;
    }
}

void sim_model_ended(struct sim *sim, enum sim_end end)
{
    for (uint32_t i = 0; i < sim->model.partition_count; i++) {
        struct sim_partition *p = &sim->model.partitions[i];
        p->end = RL_MAX(p->end, end);
        p->audited = false;
        p->high_watermark = 0;
    }
}

/* One batch found; the order of idempotent producers. */
static void audit_batch(struct sim *sim, struct sim_partition *p, const struct sim_served *s)
{
    struct sim_batch *b = &sim->model.batches[s->batch];

    if (s->epoch < p->batch_epoch)
        sim_fail(sim, "%s-%d offset %lld: leader epoch %d behind epoch %d",
                 sim->model.topics[p->topic].name, p->index, (long long)s->base_offset, s->epoch,
                 p->batch_epoch);
    p->batch_epoch = s->epoch;
    b->found++;
    if (b->found > 1)
        sim_noted(sim, SIM_DUPLICATES, 1);
    if (b->found > b->attempts)
        sim_fail(sim, "batch %u: %u times in the log, sent %u times", s->batch, b->found, b->attempts);
    if (!b->idempotent)
        return;
    if (b->sequence != p->next_sequence[b->client])
        sim_fail(sim, "%s-%d offset %lld: sequence %u of client %u, %u should come",
                 sim->model.topics[p->topic].name, p->index, (long long)s->base_offset, b->sequence,
                 b->client, p->next_sequence[b->client]);
    p->next_sequence[b->client]++;
}

static void forget_offsets(struct sim *sim, struct sim_partition *p, int64_t end_offset)
{
    for (int64_t o = end_offset; o < p->known; o++) {
        if (p->at[o] != 0)
            sim->model.batches[p->at[o] - 1].offset = -1;
        p->at[o] = 0;
    }
    p->known = RL_MIN(p->known, end_offset);
}

static void audit_compare(struct sim *sim, struct sim_partition *p, const struct sim_served *s,
                          int64_t must_end)
{
    struct sim_batch *b = &sim->model.batches[s->batch];

    for (int64_t o = s->base_offset; o < s->base_offset + b->records && o < p->known; o++) {
        if (p->at[o] == 0 || p->at[o] == s->batch + 1)
            continue;
        if (!p->lost || o < must_end || s->epoch <= p->epoch)
            sim_fail(sim, "%s-%d offset %lld: batch %u, where batch %u was (%s)",
                     sim->model.topics[p->topic].name, p->index, (long long)o, s->batch, p->at[o] - 1,
                     o < must_end ? "and must be" : "so this is no prefix of it");
        forget_offsets(sim, p, o);      /* gone in the last life already, and others came behind it */
    }
}

void sim_model_audit(struct sim *sim, uint32_t partition, const struct sim_served *list,
                     uint32_t count, int64_t end_offset, int32_t epoch)
{
    struct sim_model *m = &sim->model;
    struct sim_partition *p = &m->partitions[partition];
    int64_t must_end = p->end == SIM_END_CUT || p->lost ? p->cut_end : p->kill_end;

    sim_say(sim, "audit: partition %u (%s-%d) ends at %lld, known %lld, must %lld, epoch %d", partition,
            m->topics[p->topic].name, p->index, (long long)end_offset, (long long)p->known,
            (long long)must_end, epoch);
    if (end_offset < must_end)
        sim_fail(sim, "%s-%d ends at offset %lld after a %s, but everything before %lld %s",
                 m->topics[p->topic].name, p->index, (long long)end_offset,
                 p->end == SIM_END_CUT ? "power cut" : p->end == SIM_END_KILL ? "kill" : "clean stop",
                 (long long)must_end, p->end == SIM_END_CUT ? "was acknowledged with acks=all (or read "
                 "after a power cut)" : "was acknowledged or read");
    if (epoch < p->epoch)
        sim_fail(sim, "%s-%d: leader epoch %d after %d", m->topics[p->topic].name, p->index, epoch,
                 p->epoch);
    if (end_offset < p->known) {
        sim_noted(sim, SIM_LOST_RECORDS, (uint64_t)(p->known - end_offset));
        if (epoch == p->epoch)
            sim_fail(sim, "%s-%d: offsets %lld to %lld were known and are lost, but the leader epoch "
                     "is still %d", m->topics[p->topic].name, p->index, (long long)end_offset,
                     (long long)p->known - 1, epoch);
    }
    p->batch_epoch = 0;
    memset(p->next_sequence, 0, sizeof p->next_sequence);
    for (uint32_t i = 0; i < count; i++)
        audit_compare(sim, p, &list[i], must_end);
    forget_offsets(sim, p, end_offset);
    for (uint32_t i = 0; i < count; i++) {
        stands(sim, list[i].batch, list[i].base_offset);
        audit_batch(sim, p, &list[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        m->batches[list[i].batch].found = 0;
    p->kill_end = end_offset;
    if (p->end == SIM_END_CUT)
        p->cut_end = end_offset;        /* a device had it when it had no power */
    p->cut_end = RL_MIN(p->cut_end, end_offset);
    p->end = SIM_END_STOP;
    p->lost = false;
    p->epoch = epoch;
    p->audited = true;
    p->high_watermark = end_offset;
    sim_noted(sim, SIM_AUDITS, 1);
}

/* ---- topics ---- */

void sim_model_add_topic(struct sim *sim, const char *name, int32_t partitions, const char *key,
                         const char *value)
{
    struct sim_model *m = &sim->model;
    struct sim_topic *t = &m->topics[m->topic_count];

    RL_ASSERT(m->topic_count < SIM_TOPICS_MAX &&
              m->partition_count + (uint32_t)partitions <= SIM_PARTITIONS_MAX);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->partitions = partitions;
    t->config[0] = key;
    t->config[1] = value;
    for (int32_t i = 0; i < partitions; i++)
        m->partitions[m->partition_count++] = (struct sim_partition){ .topic = m->topic_count,
                                                                      .index = i };
    m->topic_count++;
}

void sim_model_done(struct sim_model *m)
{
    for (uint32_t i = 0; i < m->batch_count; i++)
        sim_world_free(m->batches[i].bytes);
    for (uint32_t i = 0; i < m->partition_count; i++)
        sim_world_free(m->partitions[i].at);
    sim_world_free(m->batches);
}
