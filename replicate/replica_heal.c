/* replicate/replica_heal.c — a partition whose log failed is opened again, as soon as that works.
 *
 * Happy path: a sync failed; everybody who waited was answered RL_EIO.  The log is closed and opened
 * again, which rebuilds it from what the device has (log/rebuild.c); then the partition leads again.
 * If records are missing that consumers may have seen (acknowledged without a sync), it first gets a
 * higher leader epoch from the controller, so that they notice (KIP-320).
 *
 * Failures: a disk that still says no, a directory that is not there: another attempt after a
 * second, two, four, at most a minute.  An epoch that could not be stored is asked for again. */
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/replica_internal.h"

#define DELAY_MIN_NS ((int64_t)1000000000)
#define DELAY_MAX_NS ((int64_t)60 * 1000000000)

struct heal {
    struct replica *replica;
    struct rl_timer timer;
    int64_t delay_ns;                   /* before the next attempt */
    struct rl_log_start log_start;
    int64_t visible_offset;             /* consumers may have seen what is before it */
    bool wants_epoch;                   /* the log is open, but lacks some of that */
};

/* A question to the controller; the replica may go meanwhile. */
struct raise {
    struct rl_raise_epoch call;
    struct replica_manager *manager;
    int32_t partition;
};

static void heal_advance(struct replica *r);

static struct replica_manager *manager_of(const struct replica *r)
{
    return r->partition->manager;
}

static bool is_going(const struct replica *r)
{
    return r->removal != NULL || manager_of(r)->stopped != NULL;
}

static void on_timer(struct rl_timer *timer)
{
    heal_advance(((struct heal *)timer->arg)->replica);
}

static struct heal *heal_of(struct replica *r)
{
    if (r->heal == NULL) {
        r->heal = rl_alloc_zero(1, sizeof *r->heal);
        r->heal->replica = r;
        r->heal->timer = (struct rl_timer){ .done = on_timer, .arg = r->heal };
        r->heal->delay_ns = DELAY_MIN_NS;
    }
    return r->heal;
}

void rl_replica_heal_later(struct replica *r)
{
    struct rl_shard *shard = manager_of(r)->shard;
    struct heal *heal = heal_of(r);

    if (is_going(r))
        return;
    rl_timer_start(shard, &heal->timer, shard->now_ns + heal->delay_ns);
    heal->delay_ns = RL_MIN(heal->delay_ns * 2, DELAY_MAX_NS);
}

void rl_replica_heal_stop(struct replica *r)
{
    if (r->heal == NULL)
        return;
    rl_timer_stop(manager_of(r)->shard, &r->heal->timer);
    rl_free(r->heal);
    r->heal = NULL;
}

/* ---- the end: it leads again ---- */

static void lead(struct replica *r)
{
    struct rl_partition *p = r->partition;

    rl_replica_heal_stop(r);
    rl_partition_lead(p, p->log, r->leader_epoch);
    RL_WARN("replicate", "partition %s-%d serves again, in leader epoch %d, up to offset %lld", p->topic,
            p->index, p->leader_epoch, (long long)p->high_watermark);
}

/* ---- a higher epoch ---- */

static void on_raised(struct rl_raise_epoch *call)
{
    struct raise *raise = RL_CONTAINER_OF(call, struct raise, call);
    struct replica_manager *m = raise->manager;
    struct rl_partition *p = rl_replica_manager_find(m->shard, call->topic_id, raise->partition);
    struct replica *r = p != NULL ? p->replica : NULL;

    m->raising--;
    if (r != NULL && r->heal != NULL && r->heal->wants_epoch && !rl_timer_running(&r->heal->timer)) {
        if (call->status != RL_EBUSY && call->status != RL_ESTOPPING)   /* or not started yet */
            RL_ERROR("replicate", "partition %s-%d lost records and needs a higher leader epoch, which "
                     "could not be stored: %s", p->topic, p->index, rl_status_text(call->status));
        rl_replica_heal_later(r);
    }
    rl_free(raise);
    if (m->stopped != NULL)
        rl_replica_stop_release(m);
}

static void raise_epoch(struct replica *r)
{
    struct replica_manager *m = manager_of(r);
    struct raise *raise = rl_alloc_zero(1, sizeof *raise);

    r->heal->wants_epoch = true;
    raise->manager = m;
    raise->partition = r->partition->index;
    raise->call.topic_id = r->partition->topic_id;
    raise->call.above_epoch = r->partition->leader_epoch;
    raise->call.done = on_raised;
    m->raising++;
    rl_controller_raise_epoch(m->shard, &raise->call);
}

void rl_replica_heal_epoch(struct replica *r)
{
    if (r->heal != NULL && r->heal->wants_epoch && r->leader_epoch > r->partition->leader_epoch)
        heal_advance(r);
}

/* ---- close, open ---- */

static void on_opened(void *arg, rl_status status, struct rl_log *log)
{
    struct replica *r = arg;
    struct rl_partition *p = r->partition;

    p->log = log;
    if (status != RL_OK) {
        RL_ERROR("replicate", "partition %s-%d stays offline: %s", p->topic, p->index,
                 status == RL_ENOTFOUND ? "its directory is missing; restore it or delete the topic"
                                        : rl_status_text(status));
        rl_replica_heal_later(r);
    } else if (!is_going(r)) {
        rl_log_set_config(log, &p->config);             /* it may have changed while this was opened */
        if (rl_log_end_offset(log) < r->heal->visible_offset)
            RL_ERROR("replicate", "partition %s-%d: the device lost what was not yet synced: records from "
                     "offset %lld up to %lld, never acknowledged to acks=all", p->topic, p->index,
                     (long long)rl_log_end_offset(log), (long long)r->heal->visible_offset);
        heal_advance(r);
    }
    rl_replica_settled(r);
}

static void open_again(struct replica *r)
{
    struct rl_partition *p = r->partition;
    struct rl_log_identity identity = rl_replica_identity(r);

    struct rl_log_start start = r->heal->log_start;
    start.leader_epoch_known = true;
    start.leader_epoch = RL_MAX(r->leader_epoch, p->leader_epoch);
    r->opening = true;
    rl_log_open(manager_of(r)->shard, &identity, &p->config, start,
                &rl_partition_log_events, p, on_opened, r);
}

static void on_closed(void *arg)
{
    struct replica *r = arg;

    r->partition->log = NULL;
    if (is_going(r))
        rl_replica_settled(r);
    else
        open_again(r);
}

/* Whatever comes next. */
static void heal_advance(struct replica *r)
{
    struct rl_partition *p = r->partition;
    struct heal *heal = r->heal;

    if (p->log == NULL) {
        open_again(r);
    } else if (rl_log_failure(p->log) != RL_OK && rl_log_failure(p->log) != RL_ENOSPACE) {
        r->opening = true;
        heal->wants_epoch = false;
        heal->log_start = rl_log_start_again(p->log);
        rl_log_lost_take(&p->lost, p->log, heal->visible_offset);
        rl_log_close(p->log, false, on_closed, r);
    } else if (rl_log_end_offset(p->log) < heal->visible_offset && r->leader_epoch <= p->leader_epoch) {
        raise_epoch(r);
    } else {
        lead(r);
    }
}

void rl_replica_heal(struct rl_partition *p)
{
    struct replica *r = p->replica;
    struct heal *heal = heal_of(r);

    heal->visible_offset = p->high_watermark;
    heal_advance(r);
}

void rl_replica_heal_doubt(struct replica *r)
{
    r->partition->leader_epoch = r->leader_epoch;
    heal_of(r)->visible_offset = INT64_MAX;
    heal_advance(r);
}
