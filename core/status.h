/* core/status.h — one small set of results for the whole tree.
 *
 * Functions return rl_status and give results through ret_ parameters, which stay untouched on
 * failure.  Kafka's error codes appear only in broker/; broker/kafka_error.c translates. */
#ifndef RL_CORE_STATUS_H
#define RL_CORE_STATUS_H

#include "core/base.h"

#define RL_STATUS_TABLE(X) \
    X(RL_OK,              "ok") \
    X(RL_ENOMEM,          "out of memory or over a memory budget") \
    X(RL_EINVAL,          "invalid argument") \
    X(RL_ENOTFOUND,       "not found") \
    X(RL_EEXIST,          "already exists") \
    X(RL_EBUSY,           "busy, try again later") \
    X(RL_EFULL,           "full") \
    X(RL_ETRUNCATED,      "input ends too early") \
    X(RL_EMALFORMED,      "malformed input") \
    X(RL_EUNSUPPORTED,    "not supported") \
    X(RL_ECORRUPT,        "stored data is damaged") \
    X(RL_ETOOLARGE,       "too large") \
    X(RL_EIO,             "input/output error") \
    X(RL_ENOSPACE,        "no space left on the device") \
    X(RL_EMFILE,          "too many open files") \
    X(RL_EACCESS,         "permission denied") \
    X(RL_EREADONLY,       "read-only file system") \
    X(RL_ECLOSED,         "connection or object closed") \
    X(RL_ECANCELLED,      "cancelled") \
    X(RL_ETIMEOUT,        "timed out") \
    X(RL_EADDRINUSE,      "address in use") \
    X(RL_EVERSION,        "version conflict") \
    X(RL_ENOTLEADER,      "not the leader of this partition") \
    X(RL_EFENCED,         "fenced by a newer epoch") \
    X(RL_EUNKNOWNEPOCH,   "leader epoch from the future") \
    X(RL_ERANGE,          "offset out of range") \
    X(RL_EOUTOFORDER,     "sequence number out of order") \
    X(RL_EPRODUCEREPOCH,  "producer epoch too old") \
    X(RL_EDUPLICATE,      "duplicate of an earlier batch") \
    X(RL_ETIMESTAMP,      "timestamp out of the allowed range") \
    X(RL_EINVALIDRECORD,  "record refused by the topic's rules") \
    X(RL_ESTOPPING,       "shutting down")

#define RL_STATUS_ENUM(name, text) name,
typedef enum rl_status { RL_STATUS_TABLE(RL_STATUS_ENUM) RL_STATUS_COUNT } rl_status;
#undef RL_STATUS_ENUM

/* The status as a sentence fragment, static storage.  Any thread. */
const char *rl_status_text(rl_status status);
/* The status as its name ("RL_EIO"), static storage.  Any thread. */
const char *rl_status_name(rl_status status);
/* Translate an errno value; an errno without a name of its own becomes RL_EIO.  Any thread. */
rl_status rl_status_from_errno(int error);

#endif
