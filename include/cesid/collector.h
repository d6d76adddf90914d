/*
 * What metrics are not counted but looked up when somebody asks: the fleet, and the figures that
 * other rooms keep anyway. Takes references and short copies first and writes afterwards, so that
 * no lock is held while a page is made.
 */
#ifndef CESID_COLLECTOR_H
#define CESID_COLLECTOR_H

#include "cesid/request.h"
#include "cesid/strbuf.h"

/* The whole page of metrics. */
void collector_page(const struct request *request, struct strbuf *out);

#endif
