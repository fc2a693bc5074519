/* coordinate/group_internal.h — what the files of a group share. */
#ifndef RL_COORDINATE_GROUP_INTERNAL_H
#define RL_COORDINATE_GROUP_INTERNAL_H

#include "coordinate/group.h"

/* A member that has been told its id and has not joined with it yet. */
struct rl_pending_member {
    struct rl_group *group;
    struct rl_slice id;                 /* owned */
    struct rl_timer timer;
};

/* ---- group.c ---- */
void rl_group_transition(struct rl_group *group, enum rl_group_state state);
/* Queue the answer of a call. */
void rl_group_answer(struct rl_group *group, struct rl_group_answer *answer);
/* What only a group of the classic protocol has is forgotten; it is empty. */
void rl_group_clear_classic(struct rl_group *group);
/* It is no group of the classic protocol (any more). */
void rl_group_store_classic_tombstone(struct rl_group *group);
struct rl_group_member *rl_group_find_member(const struct rl_group *group, struct rl_slice id);
struct rl_pending_member *rl_group_find_pending(const struct rl_group *group, struct rl_slice id);
void rl_group_add_pending(struct rl_group *group, struct rl_slice id, int32_t timeout_ms);
void rl_group_remove_pending(struct rl_pending_member *pending);

/* ---- group_member.c ---- */
/* A member as its call says; it does not wait yet. */
struct rl_group_member *rl_group_add_member(struct rl_group *group, struct rl_slice id,
                                            const struct rl_group_join *join);
/* Parked calls are answered `error`. */
void rl_group_remove_member(struct rl_group_member *member, enum rl_group_error error);
/* The same member under another id: its parked calls are answered FENCED_INSTANCE. */
void rl_group_rename_member(struct rl_group_member *member, struct rl_slice id);
size_t rl_group_protocol_bytes(const struct rl_group_protocol *protocols, uint32_t count);
void rl_group_set_protocols(struct rl_group_member *member, const struct rl_group_protocol *protocols,
                            uint32_t count);
bool rl_group_member_matches(const struct rl_group_member *member, const struct rl_group_protocol *protocols,
                             uint32_t count);
void rl_group_set_pending_sync(struct rl_group_member *member, bool pending);
/* It waits for the end of the rebalance.  A call that waited for it before is answered REBALANCING. */
void rl_group_park_join(struct rl_group_member *member, struct rl_group_join *join);
void rl_group_park_sync(struct rl_group_member *member, struct rl_group_sync *sync);
void rl_group_answer_join(struct rl_group_member *member, enum rl_group_error error);
void rl_group_answer_sync(struct rl_group_member *member, enum rl_group_error error);
/* Silence for so long from now on, and the member is removed. */
void rl_group_start_session(struct rl_group_member *member, int32_t timeout_ms);
bool rl_group_supports(const struct rl_group *group, struct rl_slice protocol_type,
                       const struct rl_group_protocol *protocols, uint32_t count);
/* The protocol that all support and most prefer. */
struct rl_slice rl_group_vote(const struct rl_group *group);
/* From the members' metadata for the chosen protocol. */
void rl_group_learn_subscriptions(struct rl_group *group);
void rl_group_forget_subscriptions(struct rl_group *group);

/* ---- group_join.c ---- */
/* Owned by the caller. */
struct rl_slice rl_group_make_member_id(struct rl_shard *shard, const struct rl_group_join *join);

/* ---- group_rebalance.c ---- */
/* What the group now has to do because a member came, went or changed. */
void rl_group_rebalance(struct rl_group *group, const char *reason);
/* Everybody is here: end the phase of joining, if there is one. */
void rl_group_maybe_complete_join(struct rl_group *group);
/* A member leaves or has fallen silent. */
void rl_group_lose_member(struct rl_group_member *member, const char *reason);
void rl_group_lose_pending(struct rl_pending_member *pending);
/* Every member gets the assignment it has, or an error. */
void rl_group_propagate(struct rl_group *group, enum rl_group_error error);

/* Fill a join's answer with the group's current generation; with_members: what a leader is told. */
void rl_group_fill_join(struct rl_group_join *join, const struct rl_group_member *member,
                        struct rl_slice leader, bool with_members);
void rl_group_fill_sync(struct rl_group_sync *sync, const struct rl_group_member *member);

#endif
