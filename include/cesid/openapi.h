/*
 * The API described: an OpenAPI 3.1 document written from the route tables that also route and
 * validate, so that it cannot say anything else. Pure functions over constants.
 */
#ifndef CESID_OPENAPI_H
#define CESID_OPENAPI_H

#include "cesid/json.h"
#include "cesid/route.h"

/*
 * A shape is an object of an answer. A member whose name ends in '?' may be missing; one named "*"
 * stands for all that are not named. Types: string, time, integer, number, boolean, any, a|b|c (one
 * of these words), @Shape, [T] (array), {T} (object with values of that type); with a '?' behind:
 * or null.
 */
struct shape_member {
    const char *name;
    const char *type;
    const char *about; /* NULL: the name says it */
};
struct shape {
    const char *name;
    const struct shape_member *members;
    size_t count;
};
extern const struct shape openapi_shapes[];
extern const size_t openapi_shapes_count;

/* The schema of a type in the words above. */
void openapi_type(struct json *json, const char *type);
void openapi_shape(struct json *json, const struct shape *shape);

/* The schema of a field of a route, as validate.c takes it. */
void openapi_field(struct json *json, const struct field *field);

/* The whole document. base_path: "" or "/below". */
void openapi_json(struct json *json, const struct route_table *const *tables, size_t tables_count,
                  const char *base_path, const char *version);

#endif
