/*
 * Whatever stands in a configuration file: it loads, or each problem has a message and a line. A
 * file is written for each, since that is what the loader takes.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cesid/check.h"
#include "cesid/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/cesid-fuzz-XXXXXX";

static void clean(void)
{
    char file[100];
    (void) snprintf(file, sizeof(file), "%s/cesid.conf", folder);
    (void) unlink(file);
    (void) rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char file[100];
    struct config *config = NULL;
    struct config_problems problems = {0};

    /* Other files are not this one's business. */
    if (memmem(data, size, "@include", 8) != NULL)
        return -1;
    if (file[0] == '\0') {
        CHECK(mkdtemp(folder) != NULL);
        CHECK(atexit(clean) == 0);
        (void) snprintf(file, sizeof(file), "%s/cesid.conf", folder);
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size && close(fd) == 0);

    int error = config_load(file, &config, &problems);
    CHECK((error == 0) == (config != NULL));
    CHECK(error == 0 || problems.count > 0);
    for (size_t i = 0; i < problems.count; i++) {
        struct strbuf text;
        strbuf_init(&text, 100000);
        config_problem_print(&text, &problems.items[i]);
        CHECK(text.length > 0 && problems.items[i].message[0] != '\0');
        strbuf_destroy(&text);
    }
    config_problems_free(&problems);
    config_unref(&config);
    return 0;
}
