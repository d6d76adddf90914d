/*
 * The MariaDB driver: for a store that several cesid share, or that others look after.
 */
#ifndef CESID_STORE_MARIADB_H
#define CESID_STORE_MARIADB_H

#include "store_driver.h"

const struct store_driver *store_mariadb(void);

#endif
