/* io/helper.c — a small pool of threads for what blocks.
 *
 * Happy path: flush appends a shard's batch to two queues under the lock and wakes as many
 * threads as it brought operations; a thread takes a sync if there is one, else a job, runs it
 * and posts op's own message (kept in backend_word) to op->home.
 * Failures are the operation's: they travel in op->status. */
#include "io/helper.h"
#include "core/memory.h"
#include "io/disk.h"
#include "io/send_file.h"
#include "io/socket_real.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

struct helper_queue {
    struct rl_op *first, *last;
};

struct rl_helpers {
    struct rl_disk *disk;
    uint32_t count;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* under the lock */
    struct helper_queue syncs, jobs;
    uint32_t idle;                      /* threads that wait */
    uint32_t jobs_running, jobs_max;
    bool stopping;
    pthread_t threads[];
};

static_assert(sizeof(struct rl_msg) + 28 <= sizeof(((struct rl_op *)0)->backend_word),
              "backend_word holds the message and, for CONNECT, an IPv6 address behind it");

static void helper_queue_push(struct helper_queue *queue, struct rl_op *op)
{
    op->next = NULL;
    if (queue->first == NULL)
        queue->first = op;
    else
        queue->last->next = op;
    queue->last = op;
}

static struct rl_op *helper_queue_pop(struct helper_queue *queue)
{
    struct rl_op *op = queue->first;

    if (op != NULL)
        queue->first = op->next;
    return op;
}

/* Under the lock: the next operation this thread may run. */
static struct rl_op *helper_next(struct rl_helpers *helpers)
{
    struct rl_op *op = helper_queue_pop(&helpers->syncs);

    if (op == NULL && helpers->jobs_running < helpers->jobs_max)
        op = helper_queue_pop(&helpers->jobs);
    return op;
}

static void helper_run(struct rl_helpers *helpers, struct rl_op *op)
{
    switch (op->kind) {
    case RL_OP_SYNC:
        op->status = rl_disk_sync(helpers->disk, op->fd);
        break;
    case RL_OP_JOB:
        op->job.run(op);
        break;
    case RL_OP_CONNECT:
        op->status = rl_socket_resolve(op->connect.host, op->connect.port, rl_helper_address(op));
        break;
    case RL_OP_SEND_FILE:
        op->ret_fd = rl_send_file_help(op);
        break;
    case RL_OP_NONE:
    case RL_OP_ACCEPT:
    case RL_OP_RECEIVE:
    case RL_OP_RECEIVE_INTO:
    case RL_OP_SEND:
        rl_panic(__FILE__, __LINE__, "operation kind %d on a helper", (int)op->kind);
    }
}

static void *helper_main(void *arg)
{
    struct rl_helpers *helpers = arg;

    pthread_setname_np(pthread_self(), "rl-helper");
    pthread_mutex_lock(&helpers->lock);
    while (!helpers->stopping) {
        struct rl_op *op = helper_next(helpers);
        if (op == NULL) {
            helpers->idle++;
            pthread_cond_wait(&helpers->work, &helpers->lock);
            helpers->idle--;
            continue;
        }
        bool job = op->kind != RL_OP_SYNC;
        helpers->jobs_running += job;
        pthread_mutex_unlock(&helpers->lock);
        helper_run(helpers, op);
        /* From the post on, op is the shard's. */
        rl_shard_post_foreign(op->home, (struct rl_msg *)op->backend_word);
        pthread_mutex_lock(&helpers->lock);
        helpers->jobs_running -= job;
    }
    pthread_mutex_unlock(&helpers->lock);
    return NULL;
}

rl_status rl_helpers_start(uint32_t count, struct rl_disk *disk, struct rl_helpers **ret_helpers)
{
    RL_ASSERT(count >= 1 && count <= 64);
    struct rl_helpers *helpers = rl_alloc_zero(1, sizeof *helpers + count * sizeof(pthread_t));

    helpers->disk = disk;
    helpers->jobs_max = count > 1 ? count - 1 : 1;
    pthread_mutex_init(&helpers->lock, NULL);
    pthread_cond_init(&helpers->work, NULL);
    for (; helpers->count < count; helpers->count++) {
        if (pthread_create(&helpers->threads[helpers->count], NULL, helper_main, helpers) != 0) {
            rl_helpers_stop(helpers);
            return RL_EBUSY;
        }
    }
    *ret_helpers = helpers;
    return RL_OK;
}

void rl_helpers_stop(struct rl_helpers *helpers)
{
    if (helpers == NULL)
        return;
    pthread_mutex_lock(&helpers->lock);
    helpers->stopping = true;
    pthread_cond_broadcast(&helpers->work);
    pthread_mutex_unlock(&helpers->lock);
    for (uint32_t i = 0; i < helpers->count; i++)
        pthread_join(helpers->threads[i], NULL);
    pthread_cond_destroy(&helpers->work);
    pthread_mutex_destroy(&helpers->lock);
    rl_free(helpers);
}

void rl_helper_stage(struct rl_helper_batch *batch, struct rl_op *op,
                     void (*finish)(struct rl_shard *shard, struct rl_msg *msg))
{
    ((struct rl_msg *)op->backend_word)->handle = finish;
    op->next = NULL;
    if (batch->first == NULL)
        batch->first = op;
    else
        batch->last->next = op;
    batch->last = op;
}

void rl_helper_flush(struct rl_helpers *helpers, struct rl_helper_batch *batch)
{
    struct rl_op *op = batch->first;
    uint32_t added = 0;

    if (op == NULL)
        return;
    *batch = (struct rl_helper_batch){ 0 };
    pthread_mutex_lock(&helpers->lock);
    for (struct rl_op *next; op != NULL; op = next, added++) {
        next = op->next;
        helper_queue_push(op->kind == RL_OP_SYNC ? &helpers->syncs : &helpers->jobs, op);
    }
    for (uint32_t wakes = RL_MIN(added, helpers->idle); wakes > 0; wakes--)
        pthread_cond_signal(&helpers->work);
    pthread_mutex_unlock(&helpers->lock);
}
