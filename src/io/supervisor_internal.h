/* Shared by the files of supervisor*.c only. */
#ifndef CESID_IO_SUPERVISOR_INTERNAL_H
#define CESID_IO_SUPERVISOR_INTERNAL_H

#include "cesid/supervisor.h"

/* Makes result a fault; text is copied into detail and must live as long as result->answer. */
void supervisor_result_fault(struct supervisor_result *result, int64_t code, const char *text);
void supervisor_result_error(struct supervisor_result *result, int error, const char *detail);

#endif
