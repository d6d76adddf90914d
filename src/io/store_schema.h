/*
 * The schema: made and migrated at start by recorded, repeatable steps, and checked.
 */
#ifndef CESID_STORE_SCHEMA_H
#define CESID_STORE_SCHEMA_H

#include "store_driver.h"

/* Brings the store to this program's schema. On failure a sentence in *why says what to do. */
int store_schema_apply(const struct store_driver *driver, struct store_connection *connection,
                       const struct store_settings *settings, struct strbuf *why) CESID_WARN_UNUSED;

#endif
