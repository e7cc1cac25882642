/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The picture of a file as its daemon gives it (FOLDFS_FILE_MAP), and the same
 * in fewer cells. */
#ifndef SRC_FOLDCTL_PICTURE_H
#define SRC_FOLDCTL_PICTURE_H

#include "base/compiler.h"
#include "foldfs/keys.h"
#include <stdint.h>

#define PICTURE_TIERS (sizeof(FOLDFS_MAP_TIERS) - 1)

struct picture {
	uint64_t pages;      /* below the file's size */
	uint64_t cell_pages; /* of each cell; the last may have fewer */
	unsigned n;          /* cells */
	char tier[FOLDFS_MAP_CELLS_MAX + 1]; /* of FOLDFS_MAP_TIERS */
	char age[FOLDFS_MAP_CELLS_MAX + 1];  /* 0 to f */
};

/* -EPROTO: not what foldfs/keys.h promises. */
int picture_parse(const char *text, struct picture *ret_picture) MUST_CHECK;

/* Double the pages of a cell until there are at most @most cells. Of two that
 * become one a hole gives way, then what is there less often around it. */
void picture_shrink(struct picture *picture, unsigned most);

/* "hole", "compressed"...; @tier is one of FOLDFS_MAP_TIERS. */
const char *picture_tier_name(char tier);
/* The SGR parameters to paint it with. */
const char *picture_tier_color(char tier);

#endif
