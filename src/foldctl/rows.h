/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys that are tables: a daemon's list of objects, with whatever fields. */
#ifndef SRC_FOLDCTL_ROWS_H
#define SRC_FOLDCTL_ROWS_H

#include "base/compiler.h"
#include "foldctl/table.h"
#include <jansson.h>

/*
 * The fields of the first row, in its order, are the columns. An exit code;
 * EXIT_DONE and nothing printed when there is no row.
 */
int rows_print(const char *name, const json_t *rows,
	       const struct table_options *options, FILE *out) MUST_CHECK;

/* Fill the cell from a field of a row, if it has it. */
void rows_cell(struct table *table, unsigned column, const json_t *row,
	       const char *field);

#endif
