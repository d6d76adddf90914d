/*
 * The SQLite driver: the embedded default.
 */
#ifndef CESID_STORE_SQLITE_H
#define CESID_STORE_SQLITE_H

#include "store_driver.h"

const struct store_driver *store_sqlite(void);

#endif
