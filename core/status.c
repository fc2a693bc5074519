/* core/status.c — names and sentences of rl_status, and the way from errno. */
#include "core/status.h"
#include <errno.h>

const char *rl_status_text(rl_status status)
{
#define STATUS_TEXT(name, text) [name] = text,
    static const char *const texts[] = { RL_STATUS_TABLE(STATUS_TEXT) };
#undef STATUS_TEXT
    return (unsigned)status < RL_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *rl_status_name(rl_status status)
{
#define STATUS_NAME(name, text) [name] = #name,
    static const char *const names[] = { RL_STATUS_TABLE(STATUS_NAME) };
#undef STATUS_NAME
    return (unsigned)status < RL_STATUS_COUNT ? names[status] : "RL_UNKNOWN";
}

rl_status rl_status_from_errno(int error)
{
    switch (error) {
    case 0:
        return RL_OK;
    case ENOMEM:
        return RL_ENOMEM;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
        return RL_EINVAL;
    case ENOENT:
        return RL_ENOTFOUND;
    case EEXIST:
    case ENOTEMPTY:
        return RL_EEXIST;
    case EAGAIN:
    case EBUSY:
    case ENOBUFS:
        return RL_EBUSY;
    case EFBIG:
        return RL_ETOOLARGE;
    case ENOSPC:
    case EDQUOT:
        return RL_ENOSPACE;
    case EMFILE:
    case ENFILE:
        return RL_EMFILE;
    case EACCES:
    case EPERM:
        return RL_EACCESS;
    case EROFS:
        return RL_EREADONLY;
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
    case ECONNREFUSED:
        return RL_ECLOSED;
    case ECANCELED:
        return RL_ECANCELLED;
    case ETIMEDOUT:
    case ETIME:
        return RL_ETIMEOUT;
    case EADDRINUSE:
        return RL_EADDRINUSE;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
        return RL_EUNSUPPORTED;
    default:
        return RL_EIO;
    }
}
