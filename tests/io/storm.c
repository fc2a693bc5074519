/* tests/io/storm.c — shards that bombard each other.
 *
 * A message travels to its peer and back and is counted; the last one back ends the round.  What
 * a shard keeps is touched by that shard alone, so ThreadSanitizer sees every mistake of the
 * mailboxes below. */
#include "storm.h"
#include "core/memory.h"
#include "remote.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORM_JOBS 8
#define STORM_FOREIGN 2000
#define STORM_PAUSE_NS 1000000

struct storm;
struct storm_shard;

struct storm_message {
    struct rl_msg msg;
    struct storm *storm;
    uint32_t from, number;
    bool back;
};

struct storm_shard {
    struct storm *storm;
    struct rl_shard *shard;
    struct storm_message *messages;     /* burst for each peer */
    uint32_t *expected;                 /* by sender: the next number */
    uint32_t *expected_back;            /* by peer */
    uint32_t outstanding, jobs_outstanding, round;
    struct rl_op jobs[STORM_JOBS];
    struct rl_timer pause;
    uint64_t handled, helped, foreign;
    bool disorder, congested;
    int fd;
};

struct storm {
    struct rl_shard_set *set;
    uint32_t count, burst, rounds;
    struct storm_shard *shards;
    sem_t finished;
};

static void storm_handle(struct rl_shard *shard, struct rl_msg *msg);

/* A shard has finished when its last message is home and its helpers have answered: whichever
 * comes last. */
static void storm_finish_when_done(struct storm_shard *own)
{
    if (own->round == own->storm->rounds && own->jobs_outstanding == 0)
        sem_post(&own->storm->finished);
}

static void storm_on_job(struct rl_op *op)
{
    struct storm_shard *own = op->arg;
    own->helped++;
    own->jobs_outstanding--;
    storm_finish_when_done(own);
}

static void storm_job(struct rl_op *op)
{
    op->status = RL_OK;
}

static void storm_submit_jobs(struct storm_shard *own)
{
    for (uint32_t i = 0; i < STORM_JOBS; i++) {
        struct rl_op *op = &own->jobs[i];
        if (op->in_flight)
            continue;
        *op = (struct rl_op){ .kind = i % 2 == 0 ? RL_OP_JOB : RL_OP_SYNC, .fd = own->fd,
                              .done = storm_on_job, .arg = own };
        if (op->kind == RL_OP_JOB)
            op->job.run = storm_job;
        own->jobs_outstanding++;
        rl_submit(own->shard, op);
    }
}

static void storm_round(struct storm_shard *own)
{
    struct storm *storm = own->storm;

    storm_submit_jobs(own);
    memset(own->expected_back, 0, storm->count * sizeof *own->expected_back);
    for (uint32_t peer = 0; peer < storm->count; peer++) {
        if (peer == own->shard->index)
            continue;
        for (uint32_t i = 0; i < storm->burst; i++) {
            struct storm_message *message = &own->messages[peer * storm->burst + i];
            *message = (struct storm_message){ .msg.handle = storm_handle, .storm = storm,
                                               .from = own->shard->index, .number = i };
            own->outstanding++;
            rl_shard_post(rl_shard_peer(own->shard, peer), &message->msg);
        }
    }
    own->congested |= rl_shard_congested(own->shard);
}

static void storm_on_pause(struct rl_timer *timer)
{
    storm_round(timer->arg);
}

static void storm_round_done(struct storm_shard *own)
{
    if (++own->round == own->storm->rounds)
        storm_finish_when_done(own);
    else if (own->round % 2 == 1)
        rl_timer_start(own->shard, &own->pause, own->shard->now_ns + STORM_PAUSE_NS);
    else
        storm_round(own);
}

static void storm_handle(struct rl_shard *shard, struct rl_msg *msg)
{
    struct storm_message *message = RL_CONTAINER_OF(msg, struct storm_message, msg);
    struct storm *storm = message->storm;
    struct storm_shard *own = &storm->shards[shard->index];

    own->handled++;
    if (!message->back) {
        /* A sender's rounds follow each other: its numbers begin again at 0. */
        own->disorder |= message->number != own->expected[message->from];
        own->expected[message->from] = (message->number + 1) % storm->burst;
        message->back = true;
        uint32_t home = message->from;
        message->from = shard->index;
        rl_shard_post(rl_shard_peer(shard, home), msg);
        return;
    }
    own->disorder |= message->number != own->expected_back[message->from]++;
    if (--own->outstanding == 0)
        storm_round_done(own);
}

static rl_status storm_start(struct rl_shard *shard, void *arg)
{
    struct storm *storm = arg;
    struct storm_shard *own = &storm->shards[shard->index];
    char path[] = "/tmp/ringlog-storm-XXXXXX";

    own->storm = storm;
    own->shard = shard;
    own->fd = mkstemp(path);
    unlink(path);
    own->messages = rl_alloc_zero((size_t)storm->count * storm->burst, sizeof *own->messages);
    own->expected = rl_alloc_zero(storm->count, sizeof *own->expected);
    own->expected_back = rl_alloc_zero(storm->count, sizeof *own->expected_back);
    own->pause = (struct rl_timer){ .done = storm_on_pause, .arg = own };
    rl_timer_start(shard, &own->pause, shard->now_ns);
    return RL_OK;
}

static void storm_finish(struct rl_shard *shard, void *arg)
{
    struct storm *storm = arg;
    struct storm_shard *own = &storm->shards[shard->index];

    close(own->fd);
    rl_free(own->messages);
    rl_free(own->expected);
    rl_free(own->expected_back);
}

/* ---- threads that are no shard ---- */

struct storm_foreign {
    struct rl_msg msg;
    struct storm *storm;
};

static void storm_handle_foreign(struct rl_shard *shard, struct rl_msg *msg)
{
    struct storm_foreign *foreign = RL_CONTAINER_OF(msg, struct storm_foreign, msg);
    foreign->storm->shards[shard->index].foreign++;
}

static void *storm_foreign_main(void *arg)
{
    struct storm *storm = arg;
    struct storm_foreign *messages = rl_alloc_zero(STORM_FOREIGN, sizeof *messages);

    for (uint32_t i = 0; i < STORM_FOREIGN; i++) {
        messages[i].msg.handle = storm_handle_foreign;
        messages[i].storm = storm;
        rl_shard_post_foreign(rl_shard_set_get(storm->set, i % storm->count), &messages[i].msg);
        if (i % 100 == 0)
            usleep(100);                /* lets the shards fall asleep between */
    }
    return messages;
}

static void storm_nothing(struct rl_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
}

void storm_run(const struct rl_backend *backend, uint32_t shards, uint32_t burst, uint32_t rounds, struct storm_result *ret_result)
{
    struct storm storm = { .count = shards, .burst = burst, .rounds = rounds };
    pthread_t threads[2];

    storm.set = remote_set(shards, backend);
    storm.shards = rl_alloc_zero(shards, sizeof *storm.shards);
    sem_init(&storm.finished, 0, 0);
    RL_ASSERT(rl_shard_set_start(storm.set, storm_start, &storm) == RL_OK);
    for (int i = 0; i < 2; i++)
        RL_ASSERT(pthread_create(&threads[i], NULL, storm_foreign_main, &storm) == 0);
    for (uint32_t i = 0; i < shards; i++) {
        while (sem_wait(&storm.finished) != 0)
            ;
    }
    void *messages[2];
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], &messages[i]);
    for (uint32_t i = 0; i < shards; i++)   /* behind everything posted before */
        remote_run(rl_shard_set_get(storm.set, i), storm_nothing, NULL);
    remote_end(storm.set, storm_finish, &storm);

    *ret_result = (struct storm_result){ .ordered = true };
    for (uint32_t i = 0; i < shards; i++) {
        ret_result->messages += storm.shards[i].handled;
        ret_result->foreign_handled += storm.shards[i].foreign;
        ret_result->helped += storm.shards[i].helped;
        ret_result->ordered &= !storm.shards[i].disorder;
        ret_result->congested |= storm.shards[i].congested;
    }
    RL_ASSERT(ret_result->foreign_handled == 2 * STORM_FOREIGN);
    rl_free(messages[0]);
    rl_free(messages[1]);
    rl_free(storm.shards);
    sem_destroy(&storm.finished);
}
