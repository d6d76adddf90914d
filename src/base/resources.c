/*
 * What the process has of the system. See resources.h. Reads /proc; no locks.
 */
#include "cesid/resources.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

double resources_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = 0;

    if (directory == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    (void) closedir(directory);
    return count - 1; /* its own */
}

double resources_descriptors_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double) limit.rlim_cur : 0;
}

double resources_memory(void)
{
    char text[128];
    char *at = text;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void) close(fd);
    text[length > 0 ? length : 0] = '\0';
    (void) strtoull(at, &at, 10); /* all of it; what is resident follows */
    return (double) strtoull(at, NULL, 10) * (double) sysconf(_SC_PAGESIZE);
}
