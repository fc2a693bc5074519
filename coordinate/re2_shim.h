/* coordinate/re2_shim.h — RE2 for C: plain types, no exceptions.
 *
 * For topic_regex.c alone, which knows what a pattern may be.  Functions of a pattern are pure and
 * may run on any thread. */
#ifndef RL_COORDINATE_RE2_SHIM_H
#define RL_COORDINATE_RE2_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rl_re2;

enum rl_re2_result {
    RL_RE2_OK,
    RL_RE2_INVALID,                     /* not a pattern, or too large for max_mem_bytes */
    RL_RE2_NO_MEMORY
};

/* Compile a pattern of UTF-8.  max_mem_bytes bounds the program and what matching keeps.  INVALID:
 * *ret_why is Kafka's words for it, static storage; else it is untouched, as *ret_regex unless OK. */
enum rl_re2_result rl_re2_create(const char *pattern, size_t bytes, int64_t max_mem_bytes,
                                 const char **ret_why, struct rl_re2 **ret_regex);
void rl_re2_free(struct rl_re2 *regex); /* NULL is fine */
/* Does the whole text match?  False also when memory is gone. */
bool rl_re2_matches(const struct rl_re2 *regex, const char *text, size_t bytes);
/* Instructions of the program: times the bytes of a text, that is the most that a match costs. */
uint32_t rl_re2_program_size(const struct rl_re2 *regex);

#ifdef __cplusplus
}
#endif

#endif
