/*
 * What the process has of the system, as the system counts it. Any thread; no locks.
 */
#ifndef CESID_RESOURCES_H
#define CESID_RESOURCES_H

double resources_descriptors(void);       /* open ones */
double resources_descriptors_limit(void); /* how many there may be */
double resources_memory(void);            /* resident bytes */

#endif
