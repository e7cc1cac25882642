/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metrics there are: which family each key, and each field of a table,
 * becomes. */
#ifndef SRC_FOLDCTL_FAMILIES_H
#define SRC_FOLDCTL_FAMILIES_H

#include "foldctl/exposition.h"
#include <jansson.h>

/* One mount and its keys. */
struct reading {
	const struct mount *mount;
	json_t *stats; /* NULL: its daemon did not answer */
};

/* Every family with the samples of all @n mounts, and the end. */
void families_print(struct exposition *e, const struct reading *readings,
		    unsigned n);

/* Room for the name of a number's family. */
#define FAMILY_NAME_MAX 128
/*
 * "mem_used_total" in bytes is "mem_used_bytes", "pages_read" in pages is
 * "read_pages": the unit goes to the end, and a last "total" away. @unit as in
 * keys.def in small letters; NULL: none. Returns @name.
 */
const char *family_name(const char *key, const char *unit,
			char name[FAMILY_NAME_MAX]);

#endif
