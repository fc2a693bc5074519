/* tests/coordinate/recorded_log.h — the store of a group_rig that keeps what is written: the log of a
 * broker that can be killed at the end of any write, and reads its records again.  One at a time. */
#ifndef RL_TESTS_COORDINATE_RECORDED_LOG_H
#define RL_TESTS_COORDINATE_RECORDED_LOG_H

#include "group_rig.h"

struct logged {
    struct rl_slice key, value;
};

struct logged_write {
    struct rl_group_write *write;
    uint32_t end;                       /* records up to here */
};

extern struct recorded_log {
    struct group_rig *rig;
    struct logged *records;
    uint32_t record_count, record_capacity, stable_count;       /* so many are on stable storage */
    struct logged_write writes[4096];
    uint32_t first_write, write_count;  /* on their way */
} recorded_log;

/* The rig's store is this now. */
void recorded_log_attach(struct group_rig *rig);
/* End the oldest write, and give answers; false: there is none. */
bool recorded_log_end_write(void);
/* End all of them. */
void recorded_log_settle(void);
/* The broker is killed, or a write failed: what is not on stable storage is lost, also who waits for it. */
void recorded_log_reload(void);
void recorded_log_done(void);

/* A copy, freed with rl_free. */
struct rl_slice copy_slice(struct rl_slice from);

#endif
