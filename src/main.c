/*
 * cesid: options, signals, and the order in which the house starts and stops. Main makes every
 * subsystem, wires the layers upward by callbacks, then only waits for signals.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cesid/assets.h"
#include "cesid/clock.h"
#include "cesid/daemon.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/notify.h"
#include "cesid/options.h"
#include "cesid/privileges.h"
#include "cesid/reload.h"
#include "cesid/server.h"
#include "cesid/statefile.h"
#include "cesid/store_health.h"
#include "cesid/thread.h"
#include "version.h"

#define BUS_CAPACITY 65536
#define WHY_MAX      1024
#define PATH_MOST    4096
#define STOP_SLACK   5.0 /* beyond timeouts.shutdown, before a manager may lose patience */

struct house {
    struct config_box *config;
    int state_lock; /* of the state directory; -1: not held */
    struct store *store;
    struct auth *auth;
    struct bus *bus;
    struct journal *journal;
    struct rpc_engine *engine;
    struct registry *registry;
    struct vault *vault;
    struct inventory *inventory;
    struct refresh *refresh;
    struct operations *operations;
    struct hub *hub;
    struct logstreams *logstreams;
    struct health *health;
    struct store_health *store_health;
    struct reload *reload;
    struct server *server;
    struct pidfile *pidfile;
    struct notify *notify;
    char status[160]; /* for the service manager */
};

static int load_config(const struct options *options, struct config **config)
{
    struct config_problems problems = {0};
    int error = config_load(options->config_file, config, &problems);
    struct strbuf line;

    strbuf_init(&line, 8192);
    for (size_t i = 0; i < problems.count; i++) {
        strbuf_clear(&line);
        config_problem_print(&line, &problems.items[i]);
        fprintf(stderr, "%s\n", line.data);
    }
    strbuf_destroy(&line);
    config_problems_free(&problems);
    return error;
}

/* The first line of standard input, without its end. NULL: none, longer than any password, or with
 * a NUL, which would cut it short unseen. */
static char *read_password(void)
{
    char line[1024];
    size_t length = 0;
    char *password = NULL;

    for (int c; length < sizeof(line) && (c = getc(stdin)) != EOF && c != '\n';)
        line[length++] = (char) c;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length > 0 && length < sizeof(line) && memchr(line, '\0', length) == NULL)
        password = mem_bytes(line, length);
    secret_wipe(line, sizeof(line));
    return password;
}

static int create_admin(const struct config *config, const char *name)
{
    char *password = read_password();
    struct store *store = NULL;
    const char *why = "the password is read from standard input: one line of text";
    struct strbuf store_why;
    int error = CESID_E_BAD_REQUEST;

    strbuf_init(&store_why, WHY_MAX);
    if (password != NULL) {
        privileges_prepare(config);
        why = "cannot become server.user";
        error = privileges_drop(&config->server);
    }
    if (password != NULL && error == CESID_OK) {
        error = store_open(config, &store, &store_why);
        why = store_why.data;
    }
    if (error == CESID_OK) {
        why = "the store refused it";
        error = auth_create_admin(store, name, password, &why);
    }
    if (error != CESID_OK)
        fprintf(stderr, "cesid: cannot create administrator: %s\n", why);
    else
        printf("administrator %s can sign in\n", name);
    store_close(&store);
    strbuf_destroy(&store_why);
    if (password != NULL)
        secret_wipe(password, strlen(password));
    free(password);
    return error;
}

/* 0 when every record holds. */
static int verify_activity(const struct config *config)
{
    struct activity_verdict verdict = {0};
    struct store *store = NULL;
    struct strbuf why;
    uint64_t spilled = 0;
    int error;

    strbuf_init(&why, WHY_MAX);
    privileges_prepare(config);
    error = privileges_drop(&config->server);
    if (error != CESID_OK)
        strbuf_puts(&why, "cannot become server.user");
    if (error == CESID_OK)
        error = store_open(config, &store, &why);
    if (error == CESID_OK)
        error = journal_verify(config, store, &verdict, &spilled, &why);
    if (error != CESID_OK)
        fprintf(stderr, "cesid: cannot verify the record of activity: %s\n", why.data);
    else if (verdict.broken)
        printf("the chain is broken: %s; %llu records hold before it\n", verdict.why,
               (unsigned long long) verdict.held);
    else
        printf("the chain is whole: %llu records hold\n", (unsigned long long) verdict.held);
    if (error == CESID_OK && verdict.pending > 0)
        printf("%llu of them have no outcome yet\n", (unsigned long long) verdict.pending);
    if (error == CESID_OK && spilled > 0)
        printf("%llu records wait in the spill file\n", (unsigned long long) spilled);
    if (error == CESID_OK && verdict.foreign > 0)
        printf("%llu records are of other state directories: verify them there\n",
               (unsigned long long) verdict.foreign);
    store_close(&store);
    strbuf_destroy(&why);
    return error == CESID_OK && verdict.broken ? CESID_E_CONFLICT : error;
}

/* All threads inherit this mask; main alone takes signals, by sigwaitinfo. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, set, NULL) == 0);
    signal(SIGPIPE, SIG_IGN);
}

/* The file as it was named, wherever the process goes: a link is followed anew at each reload. */
static char *absolute(const char *file)
{
    char directory[PATH_MOST];
    struct strbuf path;

    if (*file == '/' || getcwd(directory, sizeof(directory)) == NULL)
        return mem_string(file);
    strbuf_init(&path, (size_t) 2 * PATH_MOST);
    strbuf_printf(&path, "%s/%s", directory, file);
    return strbuf_steal(&path);
}

static void reload_begins(void *argument)
{
    notify_reloading(((struct house *) argument)->notify);
}

static void reload_ended(void *argument)
{
    struct house *house = argument;

    notify_ready(house->notify, house->status);
}

static struct reload *make_reload(struct house *house, const struct options *options)
{
    char *file = absolute(options->config_file);
    struct reload *reload =
        reload_create(&(struct reload_sources){.config = house->config,
                                               .file = file,
                                               .log_level_fixed = options->log_level_set,
                                               .inventory = house->inventory,
                                               .refresh = house->refresh,
                                               .operations = house->operations,
                                               .begins = reload_begins,
                                               .ended = reload_ended,
                                               .argument = house});
    free(file);
    return reload;
}

static int open_log(const struct options *options, const struct config *config)
{
    log_set_level(NULL, options->log_level_set ? options->log_level : config->log.level);
    if (log_open(config->log.file, config->log.format) == CESID_OK)
        return CESID_OK;
    log_error("main", "cannot open the log file", log_s("file", config->log.file),
              log_i("errno", errno));
    return CESID_E_INTERNAL;
}

/* The subsystems that hold files: after privileges are gone. */
static int open_store(struct house *house, const struct config *config)
{
    struct strbuf why;
    int error;

    strbuf_init(&why, WHY_MAX);
    error = statefile_lock(config->server.state_dir, &house->state_lock, &why);
    if (error == CESID_OK)
        error = store_open(config, &house->store, &why);
    if (error == CESID_OK) {
        house->store_health = store_health_create(house->store, config->store.health_interval);
        error = auth_create(house->config, house->store, &house->auth, &why);
    }
    if (error == CESID_OK)
        store_health_watch(house->store_health, auth_store_answers, house->auth);
    if (error == CESID_OK)
        error = vault_open(config->server.state_dir, &house->vault, &why);
    if (error == CESID_OK)
        error = journal_create(house->config, house->store, house->bus, &house->journal, &why);
    if (error != CESID_OK)
        log_error("main", "cannot open the store", log_s("reason", why.data));
    strbuf_destroy(&why);
    return error;
}

static int listen_http(struct house *house)
{
    struct strbuf why;
    int error;

    strbuf_init(&why, WHY_MAX);
    house->server = server_create(house->config);
    error = server_listen(house->server, &why);
    if (error != CESID_OK)
        log_error("main", "cannot listen", log_s("reason", why.data));
    strbuf_destroy(&why);
    return error;
}

static int add_nodes(struct house *house, const struct config *config)
{
    int error = CESID_OK;

    for (size_t i = 0; i < config->nodes_count && error == CESID_OK; i++)
        error = registry_add(house->registry, &config->nodes[i], false, NULL);
    if (error == CESID_OK)
        error = inventory_load(house->inventory);
    return error;
}

static int start(struct house *house, const struct options *options, const struct config *config)
{
    int error;

    files_raise(config);
    if ((error = listen_http(house)) != CESID_OK)
        return error;
    privileges_prepare(config);
    if ((error = privileges_drop(&config->server)) != CESID_OK ||
        (error = open_log(options, config)) != CESID_OK)
        return error;
    files_report(config);
    house->bus = bus_create(BUS_CAPACITY);
    if ((error = open_store(house, config)) != CESID_OK)
        return error;

    house->engine = rpc_engine_create(config->refresh.threads);
    house->registry = registry_create(house->bus, house->engine);
    house->inventory = inventory_create(house->store, house->vault, house->registry);
    house->refresh = refresh_create(house->registry, house->config);
    house->operations =
        operations_create(house->config, house->registry, house->refresh, house->bus, house->store);
    house->hub = hub_create(house->config, house->registry, house->auth);
    house->logstreams = logstreams_create(house->config, house->registry, hub_sink, house->hub);
    hub_attach_logstreams(house->hub, house->logstreams);
    auth_watch(house->auth, hub_sessions_changed, house->hub);
    house->health = health_create(&(struct health_sources){.config = house->config,
                                                           .store = house->store,
                                                           .bus = house->bus,
                                                           .registry = house->registry,
                                                           .refresh = house->refresh,
                                                           .operations = house->operations,
                                                           .hub = house->hub,
                                                           .journal = house->journal});
    house->reload = make_reload(house, options);
    operations_tell(house->operations, journal_operation, house->journal);
    bus_add_sink(house->bus, hub_sink, house->hub);
    bus_add_sink(house->bus, journal_sink, house->journal);
    bus_add_sink(house->bus, logstreams_sink, house->logstreams);

    if ((error = bus_start(house->bus)) != CESID_OK ||
        (error = journal_start(house->journal)) != CESID_OK ||
        (error = rpc_engine_start(house->engine)) != CESID_OK ||
        (error = hub_start(house->hub)) != CESID_OK ||
        (error = logstreams_start(house->logstreams)) != CESID_OK ||
        (error = operations_start(house->operations)) != CESID_OK ||
        (error = add_nodes(house, config)) != CESID_OK ||
        (error = refresh_start(house->refresh)) != CESID_OK ||
        (error = health_start(house->health)) != CESID_OK ||
        (error = store_health_start(house->store_health)) != CESID_OK)
        return error;
    server_open(house->server, &(struct server_context){.config = house->config,
                                                        .store = house->store,
                                                        .auth = house->auth,
                                                        .bus = house->bus,
                                                        .engine = house->engine,
                                                        .registry = house->registry,
                                                        .inventory = house->inventory,
                                                        .refresh = house->refresh,
                                                        .operations = house->operations,
                                                        .hub = house->hub,
                                                        .logstreams = house->logstreams,
                                                        .health = house->health,
                                                        .journal = house->journal,
                                                        .reload = house->reload,
                                                        .assets = assets,
                                                        .assets_count = assets_count,
                                                        .pages = asset_pages,
                                                        .version = CESID_VERSION,
                                                        .revision = CESID_REVISION});
    journal_system(house->journal, "system.start", CESID_OK);
    log_info("main", "cesid is ready", log_s("version", CESID_VERSION),
             log_s("listen", config->server.listen), log_i("port", server_port(house->server)),
             log_i("nodes", (int64_t) config->nodes_count));
    return CESID_OK;
}

/* Reverse order. Also ends a start that got half way. */
static void stop(struct house *house)
{
    struct config *config = config_get(house->config);
    int64_t deadline = clock_after(config->timeouts.shutdown);

    notify_stopping(house->notify, config->timeouts.shutdown + STOP_SLACK);
    config_unref(&config);
    if (house->server != NULL)
        server_refuse(house->server);
    if (house->operations != NULL)
        operations_stop(house->operations, deadline);
    if (house->hub != NULL)
        hub_stop(house->hub);
    if (house->server != NULL) {
        server_drain(house->server, deadline);
        server_stop(house->server);
    }
    if (house->health != NULL)
        health_stop(house->health);
    if (house->refresh != NULL)
        refresh_stop(house->refresh);
    if (house->logstreams != NULL)
        logstreams_stop(house->logstreams);
    if (house->engine != NULL)
        rpc_engine_stop(house->engine);
    if (house->bus != NULL)
        bus_stop(house->bus);
    if (house->journal != NULL) {
        journal_system(house->journal, "system.stop", CESID_OK);
        journal_stop(house->journal);
    }
    if (house->store_health != NULL)
        store_health_stop(house->store_health);
    if (house->auth != NULL)
        auth_store_answers(house->auth);

    server_destroy(&house->server);
    reload_destroy(&house->reload);
    health_destroy(&house->health);
    hub_destroy(&house->hub);
    logstreams_destroy(&house->logstreams);
    operations_destroy(&house->operations);
    refresh_destroy(&house->refresh);
    inventory_destroy(&house->inventory);
    registry_destroy(&house->registry);
    rpc_engine_destroy(&house->engine);
    journal_destroy(&house->journal);
    bus_destroy(&house->bus);
    auth_destroy(&house->auth);
    vault_close(&house->vault);
    store_health_destroy(&house->store_health);
    store_close(&house->store);
    if (house->state_lock >= 0)
        close(house->state_lock);
    pidfile_close(&house->pidfile);
}

static void reload(struct house *house)
{
    struct reload_report *report = reload_run(house->reload);

    journal_system(house->journal, "system.reload", report->error);
    reload_report_unref(&report);
}

/* Waits for a signal. Half-way through a watchdog's time, and when the house is seen to move (the
 * health thread came round within it), the manager is told so: -1. */
static int next_signal(struct house *house, const sigset_t *signals)
{
    double watchdog = notify_watchdog(house->notify);
    struct timespec pause = {.tv_sec = (time_t) (watchdog / 2)};
    int number;

    if (watchdog <= 0)
        return sigwaitinfo(signals, NULL);
    pause.tv_nsec = (long) ((watchdog / 2 - (double) pause.tv_sec) * 1e9);
    number = sigtimedwait(signals, NULL, &pause);
    if (clock_seconds_since(health_judged_at(house->health)) < watchdog &&
        health_of(house->health, HEALTH_THREADS) != HEALTH_FAILED)
        notify_alive(house->notify);
    return number;
}

static void wait_for_stop(struct house *house, const sigset_t *signals)
{
    for (;;) {
        int number = next_signal(house, signals);

        if (number == SIGTERM || number == SIGINT) {
            log_info("main", "stopping", log_s("signal", number == SIGINT ? "INT" : "TERM"));
            return;
        }
        if (number == SIGUSR1 && log_reopen() != CESID_OK)
            log_error("main", "cannot reopen the log file", log_i("errno", errno));
        else if (number == SIGHUP)
            reload(house);
    }
}

static void say_ready(struct house *house, const struct config *config)
{
    snprintf(house->status, sizeof(house->status), "Serving on %s", config->server.listen);
    notify_ready(house->notify, house->status);
}

static int serve(const struct options *options, struct config *config)
{
    struct house house = {.state_lock = -1};
    sigset_t signals;
    int parent = -1;
    int error = CESID_OK;

    mem_start();
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (options->daemon) {
        daemon_close_inherited();
        error = daemon_fork(&parent);
    }
    block_signals(&signals);
    house.notify = notify_create();
    if (error == CESID_OK && options->pidfile != NULL)
        error = pidfile_open(options->pidfile, &house.pidfile);
    thread_adopt("main");
    house.config = config_box_create(config_ref(config));
    log_echo_errors(true);
    if (error == CESID_OK)
        error = start(&house, options, config);
    log_echo_errors(false);
    if (error == CESID_OK) {
        daemon_report(&parent, EXIT_SUCCESS);
        say_ready(&house, config);
        wait_for_stop(&house, &signals);
    }
    stop(&house);
    config_box_destroy(&house.config);
    notify_destroy(&house.notify);
    if (error == CESID_OK)
        log_info("main", "stopped");
    daemon_report(&parent, EXIT_FAILURE);
    log_close();
    return error;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config *config = NULL;
    int error;

    if (options_parse(argc, argv, &options) != CESID_OK)
        return 2;
    if (options.help || options.version) {
        if (options.help)
            options_usage(stdout);
        else
            options_version(stdout);
        return EXIT_SUCCESS;
    }
    error = load_config(&options, &config);
    if (error == CESID_OK && options.test)
        printf("%s: the configuration is good\n", options.config_file);
    else if (error == CESID_OK && options.create_admin != NULL)
        error = create_admin(config, options.create_admin);
    else if (error == CESID_OK && options.verify_activity)
        error = verify_activity(config);
    else if (error == CESID_OK)
        error = serve(&options, config);
    config_unref(&config);
    return error == CESID_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
