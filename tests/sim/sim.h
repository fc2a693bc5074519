/* tests/sim/sim.h — what the files of the simulator share.
 *
 * One world at a time, on one thread: a kernel in memory, one broker in it, clients, and a model
 * of what must be true.  Every decision comes from the world's generator, so a seed is a run. */
#ifndef RL_TESTS_SIM_SIM_H
#define RL_TESTS_SIM_SIM_H

#include "core/arena.h"
#include "core/random.h"
#include "core/slice.h"
#include "mem_backend.h"
#include <setjmp.h>

#define SIM_DATA_DIR "/data"
#define SIM_PORT 9092
#define SIM_PATH_BYTES 80
#define SIM_PARTITIONS_MAX 16
#define SIM_TOPICS_MAX 8
#define SIM_CLIENTS_MAX 6
#define SIM_GROUPS_MAX 4
#define SIM_MEMBERS_MAX 9
#define SIM_QUEUE_MAX 5                 /* batches that wait for an answer, as idempotence allows */

struct sim;

struct sim_options {
    uint64_t seed;
    uint32_t operations;
    bool verbose;
    bool trace;                         /* every call of the disk, to stderr */
    bool quiet_disk;                    /* no crash, no fault: for a trace */
    enum sim_groups_wish { SIM_GROUPS_BY_SEED, SIM_GROUPS_NO, SIM_GROUPS_YES } groups;
    char replay[96];                    /* what a failure's command has beside seed and operations */
};

/* ---- what happened; `must`: a whole run of seeds in which it never did has proved nothing; from
 * FOUND_COORDINATOR on: a run of which some seeds have groups ---- */
#define SIM_COUNTS(X) \
    X(OPERATIONS, "client operations", true) \
    X(APPENDS, "batches acknowledged", true) \
    X(FETCHED, "batches read and compared", true) \
    X(AUDITS, "partitions read whole", true) \
    X(POWER_CUTS, "power cuts", true) \
    X(KILLS, "kills", true) \
    X(STOPS, "clean stops", true) \
    X(CRASH_IN_CALL, "crashes within a disk call", true) \
    X(CRASH_AT_START, "crashes before the broker was ready", true) \
    X(TORN_WRITES, "writes cut in the middle by a crash", true) \
    X(TORN_FILES, "files that a power cut left in pieces", true) \
    X(LOST_RECORDS, "records of acks=0 or 1 lost by power cuts", true) \
    X(RESHARDED, "starts with another number of shards", true) \
    X(FAIL_WRITE, "writes failed", true) \
    X(FAIL_SYNC, "syncs failed", true) \
    X(FAIL_READ, "reads failed", true) \
    X(FAIL_OTHER, "other disk calls failed", true) \
    X(FULL_DISK, "writes without space", true) \
    X(STALLS, "stalls of the disk", true) \
    X(OFFLINE, "partitions that could not be read after a fault", true) \
    X(CLOCK_JUMPS, "jumps of the wall clock", true) \
    X(CONNECTIONS, "connections", true) \
    X(RESETS, "connections reset by the network", true) \
    X(CRUMBS, "messages split or delayed", true) \
    X(RETRIES, "batches sent again", true) \
    X(SUPPRESSED, "repeated batches answered with their first offset", true) \
    X(DUPLICATES, "repeated batches of producers without idempotence", true) \
    X(ERRORS, "errors answered", true) \
    X(FLIPS, "bits flipped on the device", true) \
    X(NOT_SERVED, "damaged or unreachable batches that were not served", true) \
    X(TOPICS, "topics created", true) \
    X(FOUND_COORDINATOR, "coordinators found", true) \
    X(JOINED, "members told of a generation", true) \
    X(SYNCED, "assignments given to members", true) \
    X(GENERATIONS, "generations with an owner for every partition", true) \
    X(BEATS, "heartbeats answered", true) \
    X(COMMITS, "commits acknowledged", true) \
    X(FENCED, "commits refused to old generations and strangers", true) \
    X(OFFSETS_FETCHED, "committed offsets read and compared", true) \
    X(IN_DOUBT, "commits whose answer was lost", true) \
    X(DELETED, "committed offsets deleted", true) \
    X(LEFT, "members that left", true) \
    X(DIED, "members that died", true) \
    X(CAME_AGAIN, "static members that took their old place", true) \
    X(GROUPS_LOADING, "answers that a group is being read", false)

enum sim_count {
#define X(name, text, must) SIM_##name,
    SIM_COUNTS(X)
#undef X
    SIM_COUNT_KINDS
};

/* ---- the model; sim_model.c ---- */
struct sim_batch {
    uint8_t *bytes;                     /* as sent */
    uint32_t size_bytes, records;
    uint32_t partition, client;
    uint32_t sequence;                  /* of this client in this partition, from 0 */
    int16_t acks;
    bool idempotent, acknowledged;
    uint32_t attempts;
    int64_t offset;                     /* where it was seen last; -1 */
    uint64_t sent_at, acknowledged_at;  /* disk calls before that */
    uint32_t found;                     /* in the audit under way */
};

enum sim_end { SIM_END_STOP, SIM_END_KILL, SIM_END_CUT };

struct sim_partition {
    uint32_t topic;
    int32_t index;
    /* by offset: the batch + 1, 0: not known */
    uint32_t *at;
    int64_t known, capacity;            /* offsets that anybody knows of end here */
    int64_t kill_end, cut_end;          /* what lies before must survive that */
    int64_t high_watermark;             /* seen in this life */
    int32_t epoch;                      /* in this life */
    int32_t audit_epoch;                /* the leader's, as the audit under way found it */
    int32_t batch_epoch;                /* of the last batch in the audit */
    enum sim_end end;                   /* the worst since the last audit */
    bool audited;                       /* in this life */
    bool lost;                          /* its device lost what was not synced, in this life */
    int32_t home;                       /* the shard that it lives on in this life; -1: not asked yet */
    uint32_t next_sequence[SIM_CLIENTS_MAX];            /* audit: of idempotent clients */
};

struct sim_topic {
    char name[32];
    int32_t partitions;
    bool acknowledged;
    bool asked;
    const char *config[4];              /* key, value, … NULL */
};

struct sim_model {
    struct sim_batch *batches;
    uint32_t batch_count, batch_capacity;
    struct sim_partition partitions[SIM_PARTITIONS_MAX];
    uint32_t partition_count;
    struct sim_topic topics[SIM_TOPICS_MAX];
    uint32_t topic_count;
};

/* One batch as the broker served it. */
struct sim_served {
    int64_t base_offset;
    int32_t epoch;
    uint32_t batch;
};

/* A new batch; its number. */
uint32_t sim_model_batch(struct sim *sim, uint32_t client, uint32_t partition, uint32_t sequence,
                         int16_t acks, bool idempotent, int64_t producer_id);
void sim_model_acknowledged(struct sim *sim, uint32_t batch, int64_t base_offset);
/* Bytes of whole batches that were served from `offset` on; the offset behind them.  list (NULL:
 * not wanted) gets at most list_max of them. */
int64_t sim_model_served(struct sim *sim, uint32_t partition, int64_t offset, struct rl_slice records,
                         struct sim_served *list, uint32_t list_max, uint32_t *ret_count);
void sim_model_high_watermark(struct sim *sim, uint32_t partition, int64_t high_watermark, int64_t floor);
/* All of a partition, as it is after a start. */
void sim_model_audit(struct sim *sim, uint32_t partition, const struct sim_served *list,
                     uint32_t count, int64_t end_offset, int32_t epoch);
/* A sync of this file has failed: what no sync covers may be gone whenever the log is opened next. */
void sim_model_sync_failed(struct sim *sim, const char *path);
/* A life ended so. */
void sim_model_ended(struct sim *sim, enum sim_end end);
void sim_model_add_topic(struct sim *sim, const char *name, int32_t partitions, const char *key,
                         const char *value);
void sim_model_done(struct sim_model *model);

/* sim_batch.c: a batch with recognisable records. */
uint8_t *sim_batch_build(struct rl_random *random, uint32_t id, uint32_t records, uint32_t value_bytes,
                         int64_t wall_ms, int64_t producer_id, int32_t base_sequence,
                         uint32_t *ret_bytes);
/* The id in its first record; UINT32_MAX: none. */
uint32_t sim_batch_id(const uint8_t *bytes, size_t size);

/* ---- a connection; sim_link.c ---- */
#define SIM_CALL_ITEMS 4
#define SIM_CALLS_MAX 8
struct sim_call {
    int16_t key, version;
    int32_t correlation_id;
    int64_t sent_ns;
    uint32_t count;
    struct sim_call_item { uint32_t partition, batch; int64_t offset, floor; } items[SIM_CALL_ITEMS];
    struct sim_call_of_member {         /* sim_group.h */
        uint32_t group, identity;
        int32_t generation, synced, told;               /* asked in; known of the group then */
        bool stray;                     /* it is not what the member does next */
    } member;
};

struct sim_link {
    struct rl_mem_client *client;       /* NULL: not connected */
    uint8_t *out, *in;
    size_t out_at, out_bytes, out_capacity;
    size_t in_at, in_bytes, in_capacity;                /* what was taken, what came */
    struct sim_call calls[SIM_CALLS_MAX];
    uint32_t call_count;
    int32_t correlation_id;
    int64_t quiet_until_ns;             /* a delayed network */
    bool crumbs;
    struct rl_arena arena;              /* of the last reply */
    bool arena_ready;
};
bool sim_link_open(struct sim *sim, struct sim_link *link);
void sim_link_close(struct sim *sim, struct sim_link *link, bool reset);
void sim_link_done(struct sim_link *link);
/* silent: no reply will come. */
void sim_link_send(struct sim *sim, struct sim_link *link, struct sim_call call, const void *message,
                   bool silent);
/* Move bytes.  The next reply, NULL: none yet; valid until the next call.  *ret_lost: the
 * connection is gone (and closed here). */
const void *sim_link_receive(struct sim *sim, struct sim_link *link, struct sim_call *ret_call,
                             bool *ret_lost);

/* ---- clients; sim_client.c ---- */
struct sim_client {
    uint32_t index;
    bool idempotent;
    int64_t producer_id;                /* -1: not yet */
    struct sim_link link;
    int64_t again_ns;                   /* not before */
    bool draining;                      /* something failed: ask nothing new, then send it again */
    bool asked_id;
    struct {
        uint32_t next_sequence;
        uint32_t queue[SIM_QUEUE_MAX];  /* batches not answered, oldest first */
        uint32_t queued, sent;          /* the first `sent` of them are on their way */
        int64_t read_offset;
    } at[SIM_PARTITIONS_MAX];
};
void sim_client_act(struct sim *sim, struct sim_client *client);
void sim_client_lost(struct sim *sim, struct sim_client *client);
/* Nothing of it waits for an answer. */
bool sim_client_idle(const struct sim_client *client);
/* Ask for records of these partitions; then compare them.  ret_ends: where to go on, by item; -1: an
 * error was answered. */
void sim_client_send_fetch(struct sim *sim, struct sim_link *link, struct sim_call call,
                           const uint32_t *partitions, const int64_t *offsets, uint32_t count);
void sim_client_fetched(struct sim *sim, const struct sim_call *call, const void *reply,
                        int64_t ret_ends[SIM_CALL_ITEMS]);

/* ---- members of groups; sim_member.c, sim_group.c ---- */
struct sim_members;
/* NULL in a world without groups: nothing may be drawn there. */
struct sim_members *sim_members_create(struct sim *sim);
void sim_members_free(struct sim *sim);
void sim_members_act(struct sim *sim);
/* The broker's life is over. */
void sim_members_lost(struct sim *sim);
/* Every group is in one generation, everybody has his part, and all his commits an answer. */
bool sim_members_settled(const struct sim *sim);

/* sim_damage.c: flip a bit of one batch of the sealed part of some log.  The broker is down. */
struct sim_damage {
    bool on;
    uint32_t partition;
    int64_t from_offset, to_offset;     /* a read may answer CORRUPT_MESSAGE there */
};
void sim_damage_one(struct sim *sim);

/* sim_audit.c: read everything and compare.  Drives the world. */
void sim_audit(struct sim *sim);
void sim_audit_create_topics(struct sim *sim);
/* Ask and wait for the answer, which stays until the next one. */
const void *sim_audit_ask(struct sim *sim, int16_t key, int16_t version, const void *message);

/* ---- the disk's other side; sim_disk.c ---- */
enum sim_cut { SIM_CUT_BEFORE, SIM_CUT_AFTER, SIM_CUT_TORN };
struct sim_faults {                     /* one of so many calls fails; 0: never */
    uint32_t write, sync, read, other;
};
struct sim_disk {
    struct rl_disk *disk;
    const struct rl_disk_table *inner;
    uint64_t calls;                     /* that change something, or make it durable */
    uint64_t die_at;                    /* the call at which the broker dies; UINT64_MAX: never */
    enum sim_cut cut;
    struct sim_faults faults;
    bool faulty;                        /* something failed in this life */
    struct sim_unmarked {               /* directories of logs whose sync failed, without a mark */
        char directory[SIM_PATH_BYTES];
        bool made;                      /* it is there, but its name is not synced */
    } unmarked[SIM_PARTITIONS_MAX];
    uint32_t unmarked_count;
};
void sim_disk_install(struct sim *sim);

/* ---- a crash at every disk call; sim_exhaustive.c ---- */
struct sim_sweep {
    bool on;
    uint64_t from, to, stride;          /* calls from, from + stride, …, below to */
    bool all_ways;                      /* also where the one before left the same */
    int64_t only_call;                  /* -1: all of them */
    uint32_t only_cut;
};
/* Before a disk call that changes something: processes that die at it, recover and compare. */
void sim_exhaustive_fork(struct sim *sim, bool is_write, bool syncs);
/* Exit code of the process. */
int sim_exhaustive(const struct sim_options *options, const struct sim_sweep *sweep);
/* A way to die by its name. */
bool sim_exhaustive_way(const char *name, uint32_t *ret_way);

/* ---- one life of the broker; sim_life.c ---- */
struct sim_broker;
struct sim_broker *sim_broker_create(struct rl_mem *mem, struct rl_disk *disk);
void sim_broker_free(struct sim_broker *broker);
/* Fetch sessions that later lives keep; none at first. */
void sim_broker_set_fetch_sessions(struct sim_broker *broker, uint32_t slots);
/* Blocking part of a start.  RL_OK: step the shards until it is ready or has failed. */
rl_status sim_broker_start(struct sim_broker *broker, uint32_t shards);
bool sim_broker_is_ready(const struct sim_broker *broker);
bool sim_broker_has_failed(const struct sim_broker *broker);
struct rl_shard_set *sim_broker_set(const struct sim_broker *broker);
void sim_broker_stop(struct sim_broker *broker);
bool sim_broker_has_stopped(const struct sim_broker *broker);
/* After has_stopped: the end of the process. */
void sim_broker_join(struct sim_broker *broker);
void sim_broker_kill(struct sim_broker *broker);

/* ---- the world; sim_world.c ---- */

struct rl_image;
struct rl_topic;
struct sim_known {
    const struct rl_image *image;
    uint64_t generation;
    const struct rl_topic *topics[SIM_TOPICS_MAX];      /* acknowledged ones */
};

struct sim {
    struct sim_options options;
    struct rl_random random;
    uint64_t hash;
    struct rl_mem *mem;
    struct sim_disk disk;
    struct sim_broker *broker;
    struct sim_model model;
    struct sim_client clients[SIM_CLIENTS_MAX];
    uint32_t client_count;
    struct sim_members *members;        /* NULL: no groups */
    struct sim_known known[4];          /* by shard, in this life */
    struct sim_link auditor;
    uint64_t counts[SIM_COUNT_KINDS];
    jmp_buf died;
    bool may_die;                       /* died is set */
    struct sim_damage damage;           /* at the very end of a run */
    bool up;                            /* clients may connect */
    bool calm;                          /* no trouble now: an audit runs, or the end is near */
    int64_t stalled_until_ns;
    int64_t jumped_days;                /* how far the wall clock is off */
    uint32_t idle_turns;
    bool lost;                          /* in this life; it ends */
};
extern struct sim *sim_now;

struct sim *sim_create(const struct sim_options *options);
void sim_free(struct sim *sim);
/* The whole run of a seed; ends the process when something is wrong. */
void sim_run(struct sim *sim);
/* The end of a life that was killed or lost its power; keep_percent: of what no sync covers. */
void sim_crash(struct sim *sim, enum sim_end end, uint32_t keep_percent);
/* Clients work until so many operations more have ended. */
void sim_work(struct sim *sim, uint64_t operations);
/* No trouble any more: everybody gets an answer, and everything stays (again: a restart more). */
void sim_heal(struct sim *sim, bool again);
/* One small step of everything. */
void sim_turn(struct sim *sim, bool clients);
/* Start and audit; false: it did not come up. */
bool sim_start(struct sim *sim, uint32_t shards);
void sim_stop(struct sim *sim);
void sim_noted(struct sim *sim, enum sim_count what, uint64_t count);
static inline bool sim_one_in(struct sim *sim, uint64_t n)
{
    return n != 0 && rl_random_below(&sim->random, n) == 0;
}
static inline uint64_t sim_below(struct sim *sim, uint64_t n)
{
    return rl_random_below(&sim->random, n);
}
static inline void sim_hash_number(struct sim *sim, uint64_t x)
{
    sim->hash = (sim->hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    sim->hash ^= sim->hash >> 29;
}
void sim_hash_bytes(struct sim *sim, const void *bytes, size_t count);
/* One line of what happens, with --verbose. */
void sim_say(struct sim *sim, const char *format, ...) RL_PRINTF(2, 3);
/* Something is wrong: say what and how to see it again, end the process. */
noreturn void sim_fail(struct sim *sim, const char *format, ...) RL_PRINTF(2, 3);
/* The broker's code runs between these. */
void sim_enter_broker(void);
void sim_leave_broker(void);

#endif
