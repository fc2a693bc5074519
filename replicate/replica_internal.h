/* replicate/replica_internal.h — what the files of the replica manager share; private to replicate/.
 *
 *   replica_manager.c      partitions come, change and go with the image
 *   replica_heal.c         a partition whose log failed comes back */
#ifndef RL_REPLICATE_REPLICA_INTERNAL_H
#define RL_REPLICATE_REPLICA_INTERNAL_H

#include "core/list.h"
#include "core/table.h"
#include "io/op.h"
#include "replicate/controller.h"
#include "replicate/replica_manager.h"

struct apply {                          /* one image on its way */
    struct replica_manager *manager;
    uint32_t outstanding;               /* partitions and jobs not finished, and 1 while starting */
    struct rl_op job;                   /* directories of CREATING topics */
    struct rl_list creating;            /* partitions whose directories the job makes */
    uint32_t creating_count;
    struct rl_topic_failure *failures;  /* directories that could not be made or deleted */
    uint32_t failure_count, failure_capacity;
    rl_applied_fn *done;
    void *arg;
};

struct replica {                        /* what the manager keeps beside a partition */
    struct rl_partition *partition;     /* its key is partition->topic_id and index */
    uint8_t key[20];
    struct apply *apply;                /* waits for this partition to open, or NULL */
    struct apply *removal;              /* waits for its files to be gone, or NULL */
    struct rl_list link;                /* in manager->replicas */
    struct rl_list creating_link;       /* in apply->creating */
    struct rl_op remove_job;
    rl_status directory_status;
    int32_t leader_epoch;               /* to lead in, once open: the image's */
    bool opening;                       /* also: closing, to be opened again */
    struct heal *heal;                  /* replica_heal.c's; NULL: nothing to be healed */
};

struct replica_manager {
    struct rl_shard *shard;
    struct rl_replica_manager_options options;
    struct rl_table by_key;
    struct rl_list replicas;            /* all, in order of creation */
    const struct rl_image *image;       /* the last one applied */
    struct rl_timer maintain;
    uint32_t closing;                   /* logs on their way down at stop */
    uint32_t raising;                   /* questions to the controller that are not answered */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- replica_manager.c ---- */
struct rl_log_identity rl_replica_identity(const struct replica *r);
/* The log is open or will not be for now: whoever waited for that goes on. */
void rl_replica_settled(struct replica *r);

/* ---- replica_heal.c ---- */
/* The partition's log has failed and it is offline: close and open it again. */
void rl_replica_heal(struct rl_partition *partition);
/* Offline with a log that was rebuilt: nobody knows what was seen of what is gone. */
void rl_replica_heal_doubt(struct replica *r);
/* Offline without a log: try to open it in some time. */
void rl_replica_heal_later(struct replica *r);
/* The image has been here: is it the epoch that was waited for? */
void rl_replica_heal_epoch(struct replica *r);
/* No more attempts, the partition goes; not while r->opening.  A log that is open stays. */
void rl_replica_heal_stop(struct replica *r);
/* Somebody else holds up the end of the manager until it calls this. */
void rl_replica_stop_release(struct replica_manager *m);

#endif
