/*
 * A real mariadbd for tests: a data directory of its own under /tmp, loopback only, started once a
 * test program and killed when that ends, whatever way it ends. SQL beside the store goes over a
 * connection of its own.
 */
#ifndef CESID_TESTS_MARIADB_SERVER_H
#define CESID_TESTS_MARIADB_SERVER_H

#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <mysql.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define MARIADB_PASSWORD "it's a \"secret\""

struct mariadb_server {
    char directory[64];
    int port;
    int keeper; /* a socket bound to the port, so that nobody else is given it */
    pid_t pid;  /* 0: not running */
};

static inline int mariadb_remove_entry(const char *path, const struct stat *info, int type,
                                       struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

/* SO_REUSEADDR on both sides lets the server listen on a port that is bound here. */
static inline void mariadb_take_port(struct mariadb_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
    server->keeper = fd;
    server->port = ntohs(address.sin_port);
}

/* Its output goes to DIRECTORY/log. */
static inline pid_t mariadb_spawn(const struct mariadb_server *server, char *const arguments[])
{
    char log[96];
    pid_t parent = getpid(), pid;

    (void) snprintf(log, sizeof(log), "%s/log", server->directory);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
            getppid() != parent)
            _exit(126);
        (void) execvp(arguments[0], arguments);
        _exit(127);
    }
    return pid;
}

static inline MYSQL *mariadb_root(const struct mariadb_server *server)
{
    enum mysql_protocol_type tcp = MYSQL_PROTOCOL_TCP;
    MYSQL *mysql = mysql_init(NULL);

    assert_non_null(mysql);
    (void) mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
    if (mysql_real_connect(mysql, "127.0.0.1", "root", NULL, NULL, (unsigned) server->port, NULL,
                           CLIENT_MULTI_STATEMENTS))
        return mysql;
    mysql_close(mysql);
    return NULL;
}

static inline void mariadb_show_log(const struct mariadb_server *server)
{
    char line[512], path[96];
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/log", server->directory);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        print_message("%s", line);
    if (file != NULL)
        (void) fclose(file);
}

/* Starts it and waits until it answers. */
static inline void mariadb_up(struct mariadb_server *server)
{
    char data[96], socket[96], pidfile[96], port[32];
    int64_t deadline = real_now() + INT64_C(60000000000);
    MYSQL *mysql;

    (void) snprintf(data, sizeof(data), "--datadir=%s/data", server->directory);
    (void) snprintf(socket, sizeof(socket), "--socket=%s/socket", server->directory);
    (void) snprintf(pidfile, sizeof(pidfile), "--pid-file=%s/pid", server->directory);
    (void) snprintf(port, sizeof(port), "--port=%d", server->port);
    server->pid = mariadb_spawn(
        server, (char *[]){"mariadbd", "--no-defaults", "--user=root", data, socket, pidfile, port,
                           "--bind-address=127.0.0.1", "--skip-name-resolve",
                           "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M",
                           "--performance-schema=OFF", NULL});
    while ((mysql = mariadb_root(server)) == NULL) {
        if (waitpid(server->pid, NULL, WNOHANG) != 0 || real_now() > deadline) {
            mariadb_show_log(server);
            fail_msg("mariadbd does not start");
        }
        (void) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    mysql_close(mysql);
}

static inline void mariadb_down(struct mariadb_server *server, int signal_number)
{
    if (server->pid == 0)
        return;
    (void) kill(server->pid, signal_number);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
}

/* Each statement's answer is thrown away; a failure fails the test. */
static inline void mariadb_sql(const struct mariadb_server *server, const char *sql)
{
    MYSQL *mysql = mariadb_root(server);
    int more;

    assert_non_null(mysql);
    if (mysql_real_query(mysql, sql, strlen(sql)) != 0)
        fail_msg("%s: %s", sql, mysql_error(mysql));
    do {
        mysql_free_result(mysql_use_result(mysql));
    } while ((more = mysql_next_result(mysql)) == 0);
    if (more > 0)
        fail_msg("%s: %s", sql, mysql_error(mysql));
    mysql_close(mysql);
}

/* The first column of the first row; -1 when there is none. */
static inline long mariadb_number(const struct mariadb_server *server, const char *sql)
{
    MYSQL *mysql = mariadb_root(server);
    MYSQL_RES *result;
    MYSQL_ROW row;
    long number = -1;

    assert_non_null(mysql);
    if (mysql_real_query(mysql, sql, strlen(sql)) != 0)
        fail_msg("%s: %s", sql, mysql_error(mysql));
    result = mysql_store_result(mysql);
    assert_non_null(result);
    row = mysql_fetch_row(result);
    if (row != NULL && row[0] != NULL)
        number = strtol(row[0], NULL, 10);
    mysql_free_result(result);
    mysql_close(mysql);
    return number;
}

/* A new server with a user cesid, who may do everything in databases named cesid…. */
static inline void mariadb_create(struct mariadb_server *server)
{
    char data[96];
    int status = -1;
    pid_t pid;

    assert_int_equal(mysql_library_init(0, NULL, NULL), 0);
    temporary_folder(server->directory, sizeof(server->directory), "mariadb");
    (void) snprintf(data, sizeof(data), "--datadir=%s/data", server->directory);
    pid = mariadb_spawn(server, (char *[]){"mariadb-install-db", "--no-defaults", "--user=root",
                                           data, "--auth-root-authentication-method=normal",
                                           "--skip-test-db", "--skip-name-resolve", NULL});
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        mariadb_show_log(server);
        fail_msg("mariadb-install-db ended with %d", status);
    }
    mariadb_take_port(server);
    mariadb_up(server);
    mariadb_sql(server, "CREATE USER cesid@'%' IDENTIFIED BY 'it''s a \"secret\"';"
                        "GRANT ALL ON `cesid%`.* TO cesid@'%'");
}

static inline void mariadb_destroy(struct mariadb_server *server)
{
    mariadb_down(server, SIGKILL);
    close(server->keeper);
    (void) nftw(server->directory, mariadb_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
