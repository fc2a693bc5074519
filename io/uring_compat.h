/* io/uring_compat.h — numbers that Debian 12's headers (liburing 2.3, Linux 6.1) may lack.
 *
 * The kernel's ABI is fixed; whether a kernel has a feature is asked at run time (io/probe.c),
 * never concluded from a header. */
#ifndef RL_IO_URING_COMPAT_H
#define RL_IO_URING_COMPAT_H

#include <liburing.h>

#ifndef IORING_SETUP_SUBMIT_ALL         /* 5.18 */
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER      /* 6.0 */
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN      /* 6.1 */
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_FEAT_RECVSEND_BUNDLE     /* 6.10 */
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14)
#endif
#ifndef IORING_FEAT_MIN_TIMEOUT         /* 6.12 */
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif
#ifndef STATX_MNT_ID_UNIQUE             /* 6.8 */
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

/* Flags of every ring of ours.  The SQ array stays: liburing 2.3 writes to it. */
#define RL_URING_SETUP_FLAGS \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | \
     IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)

#endif
