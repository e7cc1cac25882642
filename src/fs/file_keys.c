/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys that tell about one file, made from the store's surveys of it.
 */
#include "fs/file_keys.h"
#include "foldfs/keys.h"
#include "fs/ops.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(FOLDFS_MAP_TIERS) - 1 == TIER_NR,
	      "a letter for every tier");
static_assert(2 * FOLDFS_MAP_CELLS_MAX + 100 < IO_MAX_BYTES,
	      "a picture fits a worker's buffer");

/* Append "NAME=N" to the text of @at characters; its new length. */
static int put_count(char *text, int at, const char *name, uint64_t n)
{
	return at + sprintf(text + at, "%s%s=%" PRIu64, at ? " " : "", name, n);
}

/* "lz4=12 raw=1 fill=3": what the pages of a file are kept as. */
static void codec_text(const struct store_file_info *info, char *text)
{
	int at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < CODEC_NR; i++)
		if (info->pages[i])
			at = put_count(text, at,
				       i == CODEC_RAW ? "raw"
						      : codec_ops(i)->name,
				       info->pages[i]);
	if (info->fill_pages)
		put_count(text, at, "fill", info->fill_pages);
}

static void ages_text(const struct store_file_info *info, char *text)
{
	char age[4];
	int at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < STORE_AGES; i++) {
		snprintf(age, sizeof(age), "%u", i);
		if (info->ages[i])
			at = put_count(text, at, age, info->ages[i]);
	}
}

static void stats_text(const struct store_file_info *info, char *text)
{
	text += sprintf(text,
			"{\"logical\":%" PRIu64 ",\"resident\":%" PRIu64
			",\"spilled\":%" PRIu64 ",\"codec\":\"",
			info->logical_bytes, info->resident_bytes,
			info->spilled_bytes);
	codec_text(info, text);
	text += strlen(text);
	text += sprintf(text, "\",\"ages\":\"");
	ages_text(info, text);
	strcat(text, "\"}");
}

static void map_text(struct store *store, struct file file, char *text)
{
	struct store_cell cells[FOLDFS_MAP_CELLS_MAX];
	uint64_t pages, cell_pages;
	unsigned n = store_file_map(store, file, cells, FOLDFS_MAP_CELLS_MAX,
				    &pages, &cell_pages);

	text += sprintf(text, "pages=%" PRIu64 " cell=%" PRIu64 " ", pages,
			cell_pages);
	for (unsigned i = 0; i < n; i++) {
		*text++ = FOLDFS_MAP_TIERS[cells[i].tier];
		*text++ = "0123456789abcdef"[cells[i].age];
	}
	*text = '\0';
}

static void number_text(uint64_t n, char *text)
{
	sprintf(text, "%" PRIu64, n);
}

int file_key(struct fs *fs, fuse_ino_t node, const char *name, char *text)
{
	struct store_file_info info;
	struct file file;

	if (tree_file(fs->engine.tree, node, &file) != 0)
		return -ENODATA;
	if (strcmp(name, FOLDFS_FILE_MAP) == 0) {
		map_text(fs->engine.store, file, text);
		return 0;
	}
	store_file_info(fs->engine.store, file, &info);
	if (strcmp(name, FOLDFS_FILE_LOGICAL) == 0)
		number_text(info.logical_bytes, text);
	else if (strcmp(name, FOLDFS_FILE_RESIDENT) == 0)
		number_text(info.resident_bytes, text);
	else if (strcmp(name, FOLDFS_FILE_SPILLED) == 0)
		number_text(info.spilled_bytes, text);
	else if (strcmp(name, FOLDFS_FILE_SPILL) == 0)
		number_text(info.spilled_pages, text);
	else if (strcmp(name, FOLDFS_FILE_CODEC) == 0)
		codec_text(&info, text);
	else if (strcmp(name, FOLDFS_FILE_AGES) == 0)
		ages_text(&info, text);
	else if (strcmp(name, FOLDFS_FILE_STATS) == 0)
		stats_text(&info, text);
	else
		return -ENODATA;
	return 0;
}
