/* tests/sim/sim_group.h — consumer groups in the simulator: what is known of them, and their members.
 *
 * Only worlds that have groups have any of this.  Every commit has a number, which stands in its
 * metadata, so that what is read can be recognised; every assignment says whose it is and of which
 * generation. */
#ifndef RL_TESTS_SIM_SIM_GROUP_H
#define RL_TESTS_SIM_SIM_GROUP_H

#include "sim.h"

#define SIM_MEMBER_ID_BYTES 80
#define SIM_DOUBTS_MAX 24
#define SIM_NAMED_MAX 64                /* those that died and are not missed yet count, too */
#define SIM_UNANSWERED_MAX 16

/* ---- the model; sim_group.c ---- */

struct sim_commit {
    uint32_t group, partition;
    int64_t offset;
    int32_t generation;                 /* -1: by hand */
    bool refused;                       /* and so must never be seen */
    bool deletes;                       /* what was committed before */
};

/* What a group has committed of a partition. */
struct sim_committed {
    uint32_t floor;                     /* number + 1 of the newest that was acknowledged or read; 0: none */
    /* Those without an answer, whose requests may still come behind newer ones. */
    struct sim_doubt {
        uint32_t number;
        uint32_t settled_at;            /* commits from this number on come behind it; UINT32_MAX: not yet */
    } doubts[SIM_DOUBTS_MAX];
    uint32_t doubt_count;
};

struct sim_group {
    char id[24];
    int32_t synced;                     /* the newest generation in which anybody was given his part */
    int32_t told;                       /* the newest that anybody was told of in this life, or synced */
    uint32_t nonce;                     /* of the assignment of `synced` */
    uint32_t owners[SIM_PARTITIONS_MAX];                /* in it: labels of members, 0: none seen yet */
    struct sim_committed at[SIM_PARTITIONS_MAX];
};

struct sim_groups {
    struct sim_group groups[SIM_GROUPS_MAX];
    uint32_t count;
    struct sim_commit *commits;
    uint32_t commit_count, commit_capacity;
    uint32_t next_nonce;
};

/* A member's part, as the leader gives it. */
struct sim_part {
    uint32_t group;
    int32_t generation;
    uint32_t nonce, label, partitions;  /* whose; a bit for each partition */
};
#define SIM_PART_BYTES 20
void sim_part_encode(const struct sim_part *part, uint8_t bytes[SIM_PART_BYTES]);

/* What a question is compared with when its answer comes. */
void sim_group_note_floors(const struct sim *sim, uint32_t group, struct sim_call *call);
/* A generation, told of in an answer that says that all is well. */
void sim_group_check_generation(struct sim *sim, const struct sim_call *call, int32_t generation);
void sim_group_told(struct sim *sim, const struct sim_call *call, int32_t generation);
/* A member's part; bit for each partition. */
uint32_t sim_group_synced(struct sim *sim, const struct sim_call *call, uint32_t label,
                          struct rl_slice assignment);
/* A commit (or deletion) that is sent now; its number.  refused: it must be. */
uint32_t sim_group_commit(struct sim *sim, const struct sim_commit *commit);
bool sim_group_may_commit(const struct sim *sim, uint32_t group, uint32_t partition);
void sim_group_committed(struct sim *sim, const struct sim_call *call, uint32_t number, int16_t error);
/* Its connection is gone, and the answer with it. */
void sim_group_in_doubt(struct sim *sim, uint32_t number);
/* What a group has committed of a partition; floor: when it was asked for. */
void sim_group_fetched(struct sim *sim, uint32_t group, uint32_t partition, uint32_t floor, int64_t offset,
                       struct rl_slice metadata);
/* A life of the broker ended. */
void sim_groups_ended(struct sim *sim);
/* After a start: everything that was committed is asked for. */
void sim_groups_audit(struct sim *sim);

/* ---- members; sim_member.c ---- */

enum sim_member_step { SIM_MEMBER_FINDS, SIM_MEMBER_JOINS, SIM_MEMBER_SYNCS, SIM_MEMBER_ASKS_OFFSETS,
                       SIM_MEMBER_WORKS };

struct sim_member {
    uint32_t index, group;
    bool by_hand;                       /* it is no member, and commits all the same */
    struct sim_link link;
    char instance[16];                  /* "": a dynamic member */
    char id[SIM_MEMBER_ID_BYTES];       /* "": not given yet */
    enum sim_member_step step;
    uint32_t identity;                  /* answers to what was asked as another do not move it */
    int32_t generation;                 /* -1: in none */
    bool assigned, leads;
    uint32_t owned, unknown;            /* partitions; those whose committed offset it does not know yet */
    int64_t positions[SIM_PARTITIONS_MAX];
    uint32_t topics;                    /* that it subscribes to */
    int64_t again_ns, heartbeat_ns;     /* nothing before; at the latest then */
    uint32_t unanswered[SIM_UNANSWERED_MAX];            /* commits */
    uint32_t unanswered_count;
    bool beaten, committed;             /* in calm: all that is wanted of it */
    uint32_t named_count;               /* as a leader: whom it was told of */
    struct { char id[SIM_MEMBER_ID_BYTES]; uint32_t label; } named[SIM_NAMED_MAX];
};

struct sim_members {
    struct sim_groups model;
    struct sim_member members[SIM_MEMBERS_MAX];
    uint32_t count;
};

static inline struct sim_group *sim_member_group(const struct sim *sim, const struct sim_member *m)
{
    return &sim->members->model.groups[m->group];
}

static inline struct rl_slice sim_member_instance(const struct sim_member *m)
{
    return m->instance[0] != '\0' ? rl_slice_of_string(m->instance) : (struct rl_slice){ 0 };
}

void sim_member_set_step(struct sim_member *m, enum sim_member_step step);
void sim_member_send(struct sim *sim, struct sim_member *m, struct sim_call call, const void *message);
/* What a client does when it is told that. */
void sim_member_on_error(struct sim *sim, struct sim_member *m, const struct sim_call *call, int16_t error);

/* sim_member_offsets.c; replies are of the API's response. */
void sim_member_ask_offsets(struct sim *sim, struct sim_member *m, uint32_t partitions);
void sim_member_on_offsets(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer);
void sim_member_ask_records(struct sim *sim, struct sim_member *m);
void sim_member_on_records(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer);
void sim_member_ask_commit(struct sim *sim, struct sim_member *m);
void sim_member_ask_wrong_commit(struct sim *sim, struct sim_member *m);
void sim_member_on_committed(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer);
/* A commit of it has its answer. */
void sim_member_answered(struct sim_member *m, uint32_t number);
/* Its connection is gone, and answers to its commits with it. */
void sim_member_lose_answers(struct sim *sim, struct sim_member *m);

/* sim_hand.c: a group without members. */
void sim_hand_work(struct sim *sim, struct sim_member *m);
void sim_hand_on_group_deleted(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer);
void sim_hand_on_offsets_deleted(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                                 const void *answer);

#endif
