/* core/crc32c.c — CRC-32C by ISA-L where it is vectorised, otherwise by table.
 *
 * ISA-L's crc32_iscsi neither inverts at the start nor at the end and takes an int length; both
 * are put right here.  It picks VPCLMUL, PCLMUL or SSE4.2 once, at its first call. */
#include "core/crc32c.h"
#if defined(__x86_64__)
#include <isa-l/crc.h>
#endif

#define CRC32C_POLYNOMIAL 0x82f63b78u   /* reflected */

uint32_t rl_crc32c_table(uint32_t crc, const void *data, size_t bytes)
{
    /* A table of 16 is built per call: no state shared by threads, and 64 steps are nothing
     * beside the batch that follows. */
    uint32_t table[16];
    const uint8_t *at = data;

    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++)
            table[i] = (table[i] >> 1) ^ ((table[i] & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
    }
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

uint32_t rl_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    const size_t step_max = (size_t)1 << 30;    /* ISA-L's length is an int */
    /* ISA-L's prototype lacks the const that its code keeps. */
    unsigned char *at = (unsigned char *)(uintptr_t)data;

    crc = ~crc;
    while (bytes > 0) {
        size_t step = RL_MIN(bytes, step_max);
        crc = crc32_iscsi(at, (int)step, crc);
        at += step;
        bytes -= step;
    }
    return ~crc;
}

#else

uint32_t rl_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return rl_crc32c_table(crc, data, bytes);
}

#endif
