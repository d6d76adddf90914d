/*
 * /system/reload. CivetWeb's workers; no locks of its own.
 */
#include <string.h>

#include "cesid/json.h"
#include "cesid/reload.h"
#include "cesid/response.h"
#include "cesid/routes.h"

static void put_names(struct json *json, const char *key, const struct config_strings *names)
{
    json_key(json, key);
    json_array(json);
    for (size_t i = 0; i < names->count; i++)
        json_string(json, names->items[i]);
    json_array_end(json);
}

/* Where the file stands is nobody's business over the network. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static void refuse(struct problem *problem, const struct config_problems *problems)
{
    problem_detail(problem,
                   "The configuration has %zu problem%s and was not loaded; the old one stays in "
                   "force",
                   problems->count, problems->count == 1 ? "" : "s");
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *each = &problems->items[i];

        problem_field(problem, each->key[0] != '\0' ? each->key : "file", "invalid", "%s:%d: %s",
                      base_name(each->file), each->line, each->message);
    }
}

static int reload(struct request *request, struct response *response)
{
    struct reload_report *report = reload_run(request->context->reload);
    int error = report->error;

    if (error == CESID_OK) {
        struct json *json = response_json(response);

        json_object(json);
        put_names(json, "added", &report->nodes.added);
        put_names(json, "removed", &report->nodes.removed);
        put_names(json, "changed", &report->nodes.changed);
        put_names(json, "unchanged", &report->nodes.unchanged);
        put_names(json, "settings", &report->settings);
        put_names(json, "restart_needed", &report->restart_needed);
        json_object_end(json);
    } else if (error == CESID_E_VALIDATION_FAILED) {
        refuse(&request->problem, &report->problems);
    }
    reload_report_unref(&report);
    return error;
}

static const struct route routes[] = {
    {.method = "POST",
     .path = "/api/v1/system/reload",
     .scope = ROUTE_GLOBAL,
     .permission = SYSTEM_ADMIN,
     .handler = reload,
     .about = "Read the configuration file again",
     .answers = "200:Reload",
     .action = "system.reload",
     .resource = "system"},
};
const struct route_table routes_reload = {routes, ARRAY_LENGTH(routes)};
