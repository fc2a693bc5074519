/* log/verify.h — is a partition's directory what it should be?  An offline look that changes nothing.
 *
 * Stricter than a start: every batch of every segment is read, and what a start would quietly rebuild
 * is told too.  While a broker writes into the directory its newest bytes may look torn.  Blocks. */
#ifndef RL_LOG_VERIFY_H
#define RL_LOG_VERIFY_H

#include "core/status.h"
#include "core/text.h"
#include "io/disk.h"

enum rl_finding_severity {
    RL_FINDING_NOTE,                    /* nothing is wrong */
    RL_FINDING_WARNING,                 /* repaired, cut or ignored by the next start; no record lost */
    RL_FINDING_ERROR                    /* records are damaged or missing */
};

struct rl_finding {
    enum rl_finding_severity severity;
    char file[64];                      /* within the directory; empty: all of it */
    int64_t pos;                        /* in the file; -1: none */
    int64_t offset;                     /* of the record next to it; -1: not known */
    char what[200];
};

struct rl_verification {
    uint32_t segments;
    uint64_t batches, records, bytes;
    int64_t start_offset, end_offset;   /* of what the segments hold; -1: nothing */
    struct rl_finding *findings;
    uint32_t finding_count;
    uint64_t errors, warnings;          /* also those beyond RL_FINDINGS_MAX */
};

/* More of a directory are counted, not kept. */
#define RL_FINDINGS_MAX 1000

struct rl_verify_options {
    bool records;                       /* open every batch: each record must be readable, too */
    const char *only;                   /* the one .log file that is looked at; NULL: everything */
};

/* RL_OK: looked at, whatever was found; RL_ENOTFOUND, RL_EACCESS, RL_EIO: it cannot be listed.
 * ret_verification is freed by rl_verification_done. */
rl_status rl_verify_partition(struct rl_disk *disk, const char *directory,
                              const struct rl_verify_options *options,
                              struct rl_verification *ret_verification);
void rl_verification_done(struct rl_verification *verification);

#endif
