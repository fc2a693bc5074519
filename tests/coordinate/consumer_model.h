/* tests/coordinate/consumer_model.h — members of a group of either protocol, as their clients see it:
 * what they read, are told, own and commit, in their right mind, over a network that loses and repeats;
 * and the topics, which come, grow and go.  One group, "g", at a time. */
#ifndef RL_TESTS_COORDINATE_CONSUMER_MODEL_H
#define RL_TESTS_COORDINATE_CONSUMER_MODEL_H

#include "coordinate/consumer_group.h"
#include "core/random.h"
#include "group_rig.h"
#include "replicate/metadata_image.h"

#define CLIENTS 5
#define TOPICS 3
#define PARTITIONS_MAX 8
#define NAMED_MAX 64                    /* those that were killed and not yet missed count, too */

struct beat;

struct client {
    char id[80], instance[16];          /* instance "": dynamic */
    int32_t epoch;                      /* 0: has to join */
    bool told_all;                      /* all but what it owns; else the next call tells everything */
    bool reads[TOPICS];
    bool by_pattern;                    /* "a|c" says what it reads */
    struct beat *beat;                  /* waits for its answer */
    bool committing, leaving;
    struct rl_partition_set owns, wants;
    bool has_news;                      /* what it owns is not what it told last */
    struct rl_offset_commit commit;
    struct rl_offset_commit_partition partition;
    /* of the classic protocol; `epoch` is its generation: */
    bool is_classic, joining, syncing, assigned, leads;
    struct rl_group_join join;
    struct rl_group_sync sync;
    struct rl_group_protocol protocol;
    struct rl_text metadata;
    char named[NAMED_MAX][32];          /* as a leader: whom it was told of */
    uint32_t named_count;
    struct rl_text parts[NAMED_MAX];
    struct rl_group_assignment assignments[NAMED_MAX];
};

extern struct group_rig rig;
extern const char *const topic_names[TOPICS];
extern struct consumer_model {
    struct rl_random dice;
    uint64_t seed;
    struct rl_topic topics[TOPICS];
    struct rl_image image;
    uint8_t next_topic_id;
    struct client clients[CLIENTS];
    uint32_t beats_out;                 /* not answered yet */
    int64_t next_offset, acknowledged[TOPICS][PARTITIONS_MAX];
    uint64_t commits_kept, commits_refused, fenced, revoked, replaced;  /* of all histories */
} model;

static inline struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

/* Below sides. */
uint32_t roll(uint32_t sides);

/* ---- the topics ---- */
void change_topic(void);
/* NULL: none. */
const struct rl_topic *topic_of(struct rl_uuid id);
const struct rl_image *current_image(const struct rl_groups *groups);

/* The group, if it is of the consumer protocol now; or NULL. */
const struct rl_group *group(void);

/* ---- a client ---- */
void client_be_somebody_new(struct client *c);
void client_choose_topics(struct client *c);
/* A step of its life. */
void client_beat(struct client *c);
void client_leave(struct client *c);
void client_die(struct client *c);
/* The answer, or the request, is lost: it asks again, and tells everything. */
void client_give_up_waiting(struct client *c);
void client_send_beat(struct client *c, int32_t epoch);
void client_do_classic(struct client *c);
/* It does what it was told: gives up first, then takes. */
void client_apply(struct client *c);
/* An offset of a partition that it owns. */
void client_commit(struct client *c);
bool client_is_member(const struct client *c);

/* Nothing is read that is behind what was acknowledged. */
void check_committed(void);

#endif
