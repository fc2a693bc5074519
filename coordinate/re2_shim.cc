/* coordinate/re2_shim.cc — RE2 for C. */
#include "coordinate/re2_shim.h"

#include <new>
#include <re2/re2.h>
#include <string_view>

struct rl_re2 {
    rl_re2(std::string_view pattern, const RE2::Options &options) : regex(pattern, options) {}
    RE2 regex;
};

/* What RE2/J, the library of Kafka, says; its own words for an unexpected ) are "internal error". */
static const char *words_of(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "the expression is too large";
    case RE2::NoError:
    case RE2::ErrorInternal:
        break;
    }
    return "internal error";
}

enum rl_re2_result rl_re2_create(const char *pattern, size_t bytes, int64_t max_mem_bytes,
                                 const char **ret_why, struct rl_re2 **ret_regex)
{
    try {
        RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(max_mem_bytes);
        auto *regex = new rl_re2(std::string_view(pattern, bytes), options);
        if (regex->regex.ok()) {
            *ret_regex = regex;
            return RL_RE2_OK;
        }
        *ret_why = words_of(regex->regex.error_code());
        delete regex;
        return RL_RE2_INVALID;
    } catch (...) {
        return RL_RE2_NO_MEMORY;
    }
}

void rl_re2_free(struct rl_re2 *regex)
{
    delete regex;
}

bool rl_re2_matches(const struct rl_re2 *regex, const char *text, size_t bytes)
{
    try {
        return RE2::FullMatch(std::string_view(text, bytes), regex->regex);
    } catch (...) {
        return false;
    }
}

uint32_t rl_re2_program_size(const struct rl_re2 *regex)
{
    int size = regex->regex.ProgramSize();
    return size > 0 ? static_cast<uint32_t>(size) : 1;
}
