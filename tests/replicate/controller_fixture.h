/* tests/replicate/controller_fixture.h — a controller over shards in memory, and a replica
 * manager whose logs are mere directories "data/<topic>-<partition>" on the rig's disk.
 *
 * It keeps the real one's promises: a CREATING topic gets its directories, durably, before the
 * apply is done; an ONLINE one must have them (fixture.missing counts those that do not); a
 * removed one has none when the apply is done. */
#ifndef TESTS_REPLICATE_CONTROLLER_FIXTURE_H
#define TESTS_REPLICATE_CONTROLLER_FIXTURE_H

#include "metadata_rig.h"
#include "replicate/controller.h"

#define FIXTURE_SETTINGS_MAGIC 0x5e77u

struct fixture_settings {
    uint32_t magic, resources, overrides;
};

struct fixture {
    struct rig rig;
    bool running;
    rl_status status;                   /* of the last start */
    bool hold;                          /* applies end only at fixture_release */
    rl_status apply_status;             /* what applies answer for topics they work on, if not RL_OK */
    const char *apply_fails;            /* ...only for this one; NULL: for all */
    uint32_t applies, missing;
    uint32_t creating;                  /* directories that applies were to make */
    uint32_t settings_alive, settings_applied;
};

extern struct fixture fixture;          /* one per test process */

void fixture_init(uint32_t shard_count, uint64_t seed);
void fixture_done(void);
/* Boot the shards and start the controller; fixture.status. */
void fixture_start(bool unclean, uint32_t cut_at);
/* Stop the controller (it must come to its end) and halt the shards. */
void fixture_stop(void);
/* The power fails now: nothing of what follows reaches the disk; stop, lose what was not synced. */
void fixture_power_cut(void);
/* End the applies that are held. */
void fixture_release(void);
/* Directories in data/. */
uint32_t fixture_directory_count(void);

/* Calls that run to their end. */
struct rl_create_topic fixture_create(uint32_t shard, const char *name, int32_t partitions);
rl_status fixture_delete(uint32_t shard, const char *name);
rl_status fixture_delete_id(uint32_t shard, struct rl_uuid id);
rl_status fixture_raise(uint32_t shard, struct rl_uuid id, int32_t above_epoch);
/* The same without running; the struct has to stay. answered counts up at done. */
void fixture_post_create(uint32_t shard, struct rl_create_topic *call, uint32_t *answered);
void fixture_post_delete(uint32_t shard, struct rl_delete_topic *call, uint32_t *answered);
void fixture_post_producer_id(uint32_t shard, struct rl_allocate_producer_id *call,
                              uint32_t *answered);
struct rl_alter fixture_alter(uint32_t shard, struct rl_alter call);
void fixture_post_alter(uint32_t shard, struct rl_alter *call, uint32_t *answered);
/* The topic as a shard sees it, NULL: not there. */
const struct rl_topic *fixture_find(uint32_t shard, const char *name);
const struct rl_image *fixture_image(uint32_t shard);

#endif
