/*
 * /auth: login, logout, who am I, password. CivetWeb's workers; no locks of its own.
 */
#include <inttypes.h>

#include "cesid/clock.h"
#include "cesid/credentials.h"
#include "cesid/error.h"
#include "cesid/metrics.h"
#include "cesid/password.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/secret.h"
#include "cesid/serving.h"

static void set_cookie(struct response *response, const char *token, int64_t seconds)
{
    const struct request *request = response->request;
    response_header(response, "Set-Cookie",
                    COOKIE_NAME "=%s; Path=%s/; Max-Age=%" PRId64 "; HttpOnly; SameSite=Strict%s",
                    token, request->serving->base_path, seconds, request->secure ? "; Secure" : "");
}

static void put_session(struct json *json, const struct session *session)
{
    json_put_string(json, "csrf_token",
                    session->csrf_token[0] == '\0' ? NULL : session->csrf_token);
    json_put_time(json, "expires_at",
                  session->expires_at == SESSION_NEVER ? 0 : session->expires_at);
    json_key(json, "user");
    user_json(json, &session->user);
}

static int login(struct request *request, struct response *response)
{
    bool cookie = request_boolean(request, "cookie");
    struct strbuf token;
    if (cookie && !credentials_origin_allowed(request))
        return CESID_E_ORIGIN_DENIED;
    strbuf_init(&token, TOKEN_MAX);
    int error = auth_login(request->context->auth, request_text(request, "username"),
                           request_text(request, "password"), request->address, &token,
                           &request->session, &request->problem.retry_after);
    metrics_count(METRIC_AUTH, error_code(error));
    if (error == 0) {
        struct json *json = response_json(response);
        json_object(json);
        if (cookie)
            set_cookie(response, token.data, (request->session->expires_at - clock_wall()) / 1000);
        else
            json_put_string(json, "token", token.data);
        put_session(json, request->session);
        json_object_end(json);
    }
    secret_wipe(token.data, token.length);
    strbuf_destroy(&token);
    return error;
}

static int logout(struct request *request, struct response *response)
{
    int error = auth_logout(request->context->auth, request->session);
    set_cookie(response, "", 0);
    response_no_content(response);
    return error;
}

static int me(struct request *request, struct response *response)
{
    struct json *json = response_json(response);
    json_object(json);
    put_session(json, request->session);
    json_key(json, "permissions");
    access_json(json, request->session->access);
    json_object_end(json);
    return 0;
}

static void check_password(struct request *request)
{
    const char *password = request_text(request, "new"), *why;
    if (password != NULL && password_check(request->session->user.username, password, &why) != 0)
        problem_field(&request->problem, "new", "bad_format", "%s", why);
}

static int password(struct request *request, struct response *response)
{
    const char *why = NULL;
    int error =
        auth_change_password(request->context->auth, request->session, request_text(request, "old"),
                             request_text(request, "new"), &why);
    if (error == CESID_E_VALIDATION_FAILED)
        problem_field(&request->problem, "new", "bad_format", "%s", why);
    else if (error == CESID_E_INVALID_CREDENTIALS)
        problem_detail(&request->problem, "The old password is wrong");
    response_no_content(response);
    return error;
}

static const struct field login_fields[] = {
    {.name = "username",
     .place = FIELD_BODY,
     .required = true,
     .minimum = 1,
     .maximum = 256,
     .about = "user name"},
    {.name = "password",
     .place = FIELD_BODY,
     .format = FORMAT_SECRET,
     .required = true,
     .minimum = 1,
     .maximum = 1024,
     .about = "password"},
    {.name = "cookie",
     .place = FIELD_BODY,
     .type = FIELD_BOOLEAN,
     .default_value = "false",
     .about = "set a cookie instead of answering with the token"},
};

static const struct field password_fields[] = {
    {.name = "old",
     .place = FIELD_BODY,
     .format = FORMAT_SECRET,
     .required = true,
     .minimum = 1,
     .maximum = 1024,
     .about = "the present password"},
    {.name = "new",
     .place = FIELD_BODY,
     .format = FORMAT_SECRET,
     .required = true,
     .minimum = PASSWORD_LENGTH_MIN,
     .maximum = PASSWORD_LENGTH_MAX,
     .about = "the password to have"},
};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/api/v1/auth/login",
     .scope = ROUTE_PUBLIC,
     .handler = login,
     ROUTE_FIELDS(login_fields),
     .about = "Log in",
     .answers = "200:Login",
     .problems = "401 403 429 504",
     .action = "auth.login",
     .resource = "session"},
    {.method = "POST",
     .path = "/api/v1/auth/logout",
     .scope = ROUTE_GLOBAL,
     .handler = logout,
     .about = "End the session at once",
     .answers = "204",
     .problems = "403",
     .signed_in = true,
     .action = "auth.logout",
     .resource = "session"},
    {.method = "GET",
     .path = "/api/v1/auth/me",
     .scope = ROUTE_GLOBAL,
     .handler = me,
     .about = "Who is calling, and what they may do where",
     .answers = "200:Me"},
    {.method = "PUT",
     .path = "/api/v1/auth/password",
     .scope = ROUTE_GLOBAL,
     .handler = password,
     .check = check_password,
     ROUTE_FIELDS(password_fields),
     .about = "Change the own password; ends the user's other sessions",
     .answers = "204",
     .problems = "403 429",
     .signed_in = true,
     .action = "auth.password",
     .resource = "user"},
};
const struct route_table routes_auth = {routes, ARRAY_LENGTH(routes)};
