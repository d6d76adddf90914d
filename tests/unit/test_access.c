/*
 * Who may do what, and where.
 */
#include "cesid/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/check.h"

static void test_names(void **state)
{
    (void) state;
    for (unsigned bit = 0; bit < 9; bit++) {
        enum permission permission;
        const char *name = permission_name((enum permission)(1u << bit));
        assert_true(permission_parse(name, &permission));
        assert_int_equal(permission, 1u << bit);
    }
    enum permission permission;
    assert_false(permission_parse("none", &permission));
    assert_false(permission_parse("node:", &permission));
    assert_false(permission_parse("", &permission));
}

static void test_builtin_roles(void **state)
{
    uint32_t permissions;
    (void) state;
    assert_true(permission_builtin_role("admin", &permissions));
    assert_int_equal(permissions, PERMISSIONS_ALL);
    assert_true(permission_builtin_role("operator", &permissions));
    assert_int_equal(permissions, NODE_READ | PROCESS_READ | LOG_READ | ACTIVITY_READ |
                                      PROCESS_CONTROL | NODE_CONTROL);
    assert_true(permission_builtin_role("viewer", &permissions));
    assert_int_equal(permissions, NODE_READ | PROCESS_READ | LOG_READ);
    assert_false(permission_builtin_role("Admin", &permissions));
    assert_false(permission_builtin_role("", &permissions));
}

static void test_environments(void **state)
{
    const struct access_binding bindings[] = {{"prod-*", NODE_READ | PROCESS_READ},
                                              {"prod-eu", PROCESS_CONTROL},
                                              {"test", PERMISSIONS_ALL}};
    struct access *access = access_create(bindings, ARRAY_LENGTH(bindings));
    (void) state;
    assert_true(access_allows(access, NODE_READ, "prod-us"));
    assert_false(access_allows(access, PROCESS_CONTROL, "prod-us"));
    assert_true(access_allows(access, PROCESS_CONTROL, "prod-eu"));
    assert_false(access_allows(access, NODE_READ, "staging"));
    assert_true(access_allows(access, NODE_CONTROL, "test"));
    assert_true(access_allows_somewhere(access, NODE_CONTROL));
    /* A right on everything is not a sum of rights on some things. */
    assert_false(access_allows(access, NODE_READ, NULL));
    assert_true(access_allows(access, PERMISSION_NONE, NULL));
    assert_true(access_allows(access, PERMISSION_NONE, "staging"));
    access_unref(&access);
}

static void test_global_permissions(void **state)
{
    const struct access_binding scoped[] = {
        {"prod", PERMISSIONS_ALL}, {"**", PERMISSIONS_ALL}, {"?*", PERMISSIONS_ALL}};
    const struct access_binding global[] = {{"*", PERMISSIONS_ALL}};
    struct access *access = access_create(scoped, ARRAY_LENGTH(scoped));
    (void) state;
    assert_true(access_allows(access, NODE_WRITE, "prod"));
    assert_false(access_allows(access, USER_ADMIN, NULL));
    assert_false(access_allows(access, USER_ADMIN, "prod"));
    assert_false(access_allows_somewhere(access, SYSTEM_ADMIN));
    access_unref(&access);
    access = access_create(global, 1);
    assert_true(access_allows(access, USER_ADMIN, NULL));
    assert_true(access_allows(access, SYSTEM_ADMIN, "prod"));
    assert_true(access_allows_somewhere(access, SYSTEM_ADMIN));
    assert_true(access_allows(access, NODE_READ, NULL));
    assert_true(access_allows(access, NODE_READ, "anything"));
    access_unref(&access);
}

static void test_nothing(void **state)
{
    struct access *access = access_create(NULL, 0);
    struct access *second = access_ref(access);
    (void) state;
    access_unref(&second);
    assert_false(access_allows(access, NODE_READ, "prod"));
    assert_false(access_allows_somewhere(access, NODE_READ));
    access_unref(&access);
    assert_null(access);
}

static void test_json(void **state)
{
    const struct access_binding bindings[] = {{"*", NODE_READ | SYSTEM_ADMIN},
                                              {"a\"b", LOG_READ | USER_ADMIN}};
    struct access *access = access_create(bindings, ARRAY_LENGTH(bindings));
    struct strbuf out;
    struct json json;
    (void) state;
    strbuf_init(&out, 1024);
    json_start(&json, &out);
    access_json(&json, access);
    assert_string_equal(out.data,
                        "[{\"environment\":\"*\",\"permissions\":[\"node:read\",\"system:admin\"]},"
                        "{\"environment\":\"a\\\"b\",\"permissions\":[\"log:read\"]}]");
    strbuf_destroy(&out);
    access_unref(&access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_builtin_roles),
        cmocka_unit_test(test_environments), cmocka_unit_test(test_global_permissions),
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
