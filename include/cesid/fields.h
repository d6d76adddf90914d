/*
 * Fields that several routes share. For route tables only.
 */
#ifndef CESID_FIELDS_H
#define CESID_FIELDS_H

#include "cesid/route.h"

#define FIELD_NODE_PATH                                                                            \
    {                                                                                              \
        .name = "node", .place = FIELD_PATH, .format = FORMAT_NAME, .maximum = 64,                 \
        .about = "name of the node"                                                                \
    }
#define FIELD_PROCESS_PATH                                                                         \
    {                                                                                              \
        .name = "process", .place = FIELD_PATH, .format = FORMAT_PROCESS, .maximum = 512,          \
        .about = "group:name; a plain name stands for name:name"                                   \
    }
#define FIELD_SEARCH(what)                                                                         \
    {                                                                                              \
        .name = "q", .place = FIELD_QUERY, .maximum = 256, .about = "part of " what ", any case"   \
    }
#define FIELD_ENVIRONMENTS                                                                         \
    {                                                                                              \
        .name = "environment", .place = FIELD_QUERY, .type = FIELD_STRINGS, .format = FORMAT_NAME, \
        .maximum = 64, .about = "names of environments"                                            \
    }
#define FIELD_PROCESS_STATES                                                                       \
    {                                                                                              \
        .name = "state", .place = FIELD_QUERY, .type = FIELD_STRINGS,                              \
        .choices = "STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN",               \
        .about = "states of processes"                                                             \
    }
#define FIELD_STREAM                                                                               \
    {                                                                                              \
        .name = "stream", .place = FIELD_QUERY, .choices = "stdout|stderr",                        \
        .default_value = "stdout", .about = "which of the two logs"                                \
    }
#define PERMISSION_WORDS                                                                           \
    "node:read|node:write|node:control|process:read|process:control|log:read|activity:read|"       \
    "user:admin|system:admin"
#define FIELD_FORCE                                                                                \
    {                                                                                              \
        .name = "force", .place = FIELD_QUERY, .type = FIELD_BOOLEAN, .default_value = "false",    \
        .about = "try although the node's breaker is open"                                         \
    }

#endif
