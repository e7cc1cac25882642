/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cells are halved in number by joining neighbours: what most of the cells
 * that came together were is what the joint one is.
 */
#include "foldctl/picture.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char ages[] = "0123456789abcdef";

static unsigned age_of(char letter)
{
	return (unsigned)(strchr(ages, letter) - ages);
}

int picture_parse(const char *text, struct picture *ret_picture)
{
	struct picture p = {0};
	int at = 0;

	if (sscanf(text, "pages=%" SCNu64 " cell=%" SCNu64 " %n", &p.pages,
		   &p.cell_pages, &at) != 2 ||
	    at == 0 || p.cell_pages == 0)
		return -EPROTO;
	for (text += at; *text; text += 2) {
		if (p.n == FOLDFS_MAP_CELLS_MAX ||
		    !strchr(FOLDFS_MAP_TIERS, text[0]) || text[1] == '\0' ||
		    !strchr(ages, text[1]))
			return -EPROTO;
		p.tier[p.n] = text[0];
		p.age[p.n++] = text[1];
	}
	*ret_picture = p;
	return 0;
}

/* The @join cells from @first on as one. */
static void join_cells(const struct picture *p, unsigned first, unsigned join,
		       char *ret_tier, char *ret_age)
{
	unsigned count[PICTURE_TIERS] = {0}, held = 0, sum = 0, most = 0;

	for (unsigned i = first; i < first + join && i < p->n; i++) {
		count[strchr(FOLDFS_MAP_TIERS, p->tier[i]) -
		      FOLDFS_MAP_TIERS]++;
		if (p->tier[i] == FOLDFS_MAP_TIERS[0])
			continue;
		held++;
		sum += age_of(p->age[i]);
	}
	count[0] = 0;
	for (unsigned tier = 1; tier < PICTURE_TIERS; tier++)
		if (count[tier] > count[most])
			most = tier;
	*ret_tier = FOLDFS_MAP_TIERS[most];
	*ret_age = ages[held ? sum / held : 0];
}

void picture_shrink(struct picture *picture, unsigned most)
{
	unsigned join = 1, n = 0;

	while ((picture->n + join - 1) / join > most)
		join *= 2;
	if (join == 1)
		return;
	/* Written behind what is still to be read. */
	for (unsigned i = 0; i < picture->n; i += join, n++)
		join_cells(picture, i, join, &picture->tier[n],
			   &picture->age[n]);
	picture->n = n;
	picture->tier[n] = picture->age[n] = '\0';
	picture->cell_pages *= join;
}

static const struct {
	const char *name, *color;
} tiers[PICTURE_TIERS] = {
	{"hole", "2"}, {"fill", "36"},    {"compressed", "32"},
	{"raw", "33"}, {"spilled", "34"}, {"bad", "31"},
};

const char *picture_tier_name(char tier)
{
	return tiers[strchr(FOLDFS_MAP_TIERS, tier) - FOLDFS_MAP_TIERS].name;
}

const char *picture_tier_color(char tier)
{
	return tiers[strchr(FOLDFS_MAP_TIERS, tier) - FOLDFS_MAP_TIERS].color;
}
