/* log/lease.c — ranges of segment files that are lent to whoever sends them.
 *
 * Happy path: a lease pins its descriptor, so that the file stays as it is, even when its segment
 * is deleted or its log closed meanwhile (what was written is never overwritten or cut off).  It
 * may be released on any shard; the pin is given back on the log's.
 * Failures: none.  At the very end, when every connection is gone and the shards have stopped, a
 * release may still lie in a mailbox that nobody empties: the manager ends those leases itself. */
#include "core/memory.h"
#include "log/log_internal.h"

struct lease {
    struct rl_file_lease lent;
    struct rl_msg msg;                  /* the release, when it comes from another shard */
    struct rl_list node;                /* in the manager's list */
    struct rl_shard *home;
    struct rl_segment_file *file;
};

static void lease_end(struct lease *lease)
{
    rl_list_remove(&lease->node);
    rl_segment_unpin(lease->file);
    rl_free(lease);
}

/* Another shard -> the log's; the message is the lease's own. */
static void on_released(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    lease_end(RL_CONTAINER_OF(msg, struct lease, msg));
}

static void release(struct rl_file_lease *lent)
{
    struct lease *lease = RL_CONTAINER_OF(lent, struct lease, lent);

    if (rl_self == lease->home) {
        lease_end(lease);
        return;
    }
    lease->msg.handle = on_released;
    rl_shard_post(lease->home, &lease->msg);
}

struct rl_file_lease *rl_lease_create(struct rl_log_manager *manager, struct rl_segment_file *file,
                                      uint32_t pos)
{
    struct lease *lease = rl_alloc_zero(1, sizeof *lease);

    lease->lent = (struct rl_file_lease){ .fd = file->fd, .pos = pos, .release = release };
    lease->home = manager->shard;
    lease->file = file;
    rl_segment_pin_file(file);
    rl_list_push_back(&manager->leases, &lease->node);
    return &lease->lent;
}

void rl_lease_end_all(struct rl_log_manager *manager)
{
    RL_LIST_EACH_SAFE(node, &manager->leases)
        lease_end(RL_LIST_ENTRY(node, struct lease, node));
}
