/* core/crc32c.h — CRC-32C (Castagnoli), as record batches carry it. */
#ifndef RL_CORE_CRC32C_H
#define RL_CORE_CRC32C_H

#include "core/base.h"

/* The checksum of `bytes` bytes at data, going on from crc (0 to begin):
 * rl_crc32c(rl_crc32c(0, a), b) == rl_crc32c(0, a b).  "123456789" gives 0xE3069283.
 * Any thread.  Source: RFC 3720 appendix B.4. */
uint32_t rl_crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same by table, one byte at a time: for machines without a faster way, and to check it. */
uint32_t rl_crc32c_table(uint32_t crc, const void *data, size_t bytes);

#endif
