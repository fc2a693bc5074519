/* tests/broker/protocol/broker_process.h — the real broker as a child process.
 *
 * Each test starts its own broker on a port that the kernel chooses and in a data directory of
 * its own, and ends only that one.  A broker that dies by itself, or whose sanitizer has
 * something to say, fails the test with its output.
 *
 * RL_TEST_REFERENCE_PORT=9092 in the environment asks a broker that runs already, Kafka for
 * instance, instead: to learn what it answers.  Tests that stop their broker cannot run so. */
#ifndef RL_TESTS_PROTOCOL_BROKER_PROCESS_H
#define RL_TESTS_PROTOCOL_BROKER_PROCESS_H

#include "core/base.h"
#include <sys/types.h>

#define BROKER_SETTINGS_MAX 8

struct broker {
    uint32_t shards;
    const char *settings[BROKER_SETTINGS_MAX];  /* "key=value" */
    pid_t pid;                          /* 0: not running */
    uint16_t port;
    char data_dir[512];
    char log_path[560];
};

/* An empty data directory, named after the running test; nothing runs yet. */
void broker_init(struct broker *b, uint32_t shards, const char *const *settings);
/* Start and wait for the ready line. */
void broker_start(struct broker *b);
/* SIGTERM: it must leave with exit code 0. */
void broker_stop(struct broker *b);
/* SIGTERM without waiting; broker_wait then expects exit code 0. */
void broker_terminate(struct broker *b);
void broker_wait(struct broker *b);
/* kill -9. */
void broker_kill(struct broker *b);
/* After a kill: the next start cannot know that the page cache survived, as after a power cut. */
void broker_forget_mount(struct broker *b);
/* It runs; else the test fails with its output. */
void broker_expect_alive(struct broker *b);
/* Resident memory in KiB. */
long broker_resident_kib(const struct broker *b);
/* The data directory is removed. */
void broker_done(struct broker *b);

/* A test that runs once with one shard and once with four, against a broker of its own:
 *     PROTOCOL_TEST(fetch, from_each_offset, "log.segment.bytes=65536") { … uses b … }
 * The settings may be left out. */
#define PROTOCOL_TEST(SUITE, NAME, ...) \
    static void SUITE##_##NAME(struct broker *b); \
    Test(SUITE, NAME##_1_shard, .timeout = 180) \
    { \
        broker_run_test(1, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL }, SUITE##_##NAME); \
    } \
    Test(SUITE, NAME##_4_shards, .timeout = 180) \
    { \
        broker_run_test(4, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL }, SUITE##_##NAME); \
    } \
    static void SUITE##_##NAME(struct broker *b)
/* Start, run, expect it alive, stop cleanly, remove the data. */
void broker_run_test(uint32_t shards, const char *const *settings, void (*body)(struct broker *));

#endif
