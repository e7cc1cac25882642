/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that a verb is about: found by their paths, asked for, summed
 * up, and put in order.
 */
#ifndef SRC_FOLDCTL_FILES_H
#define SRC_FOLDCTL_FILES_H

#include "base/compiler.h"
#include "foldctl/context.h"
#include <stdint.h>
#include <sys/stat.h>

struct file_entry {
	char *path;        /* owns what the next two point to as well */
	const char *codec; /* "lz4=12 raw=1" */
	const char *ages;  /* "0=12 3=4" */
	uint64_t size, logical, resident, spilled;
};

#define FILES_COUNTS_MAX 512

struct files {
	struct file_entry *list;
	size_t n, cap;
	/* Only the @most that take the most RAM are kept; 0: all. */
	size_t most;
	uint64_t found;        /* files seen, kept or not */
	struct file_entry sum; /* of all that were found; without a path */
	char codecs[FILES_COUNTS_MAX], ages[FILES_COUNTS_MAX]; /* its texts */
	void *linked; /* files of several names that were seen */
};

/* Texts point into it: it stays where it is. */
void files_init(struct files *files, size_t most);
void files_fini(struct files *files);

/* Ask for one file. -ENODATA, -EACCES...: nothing has changed. */
int files_add(struct files *files, const char *path,
	      const struct stat *st) MUST_CHECK;
/* All regular files below @path that are on its file system, a file with
 * several names once. An exit code; what went wrong was said. */
int files_walk(struct files *files, const char *path) MUST_CHECK;

/* What the user names: a file, or with @recursive all below a directory. An exit
 * code; what is wrong was said. */
int files_add_operand(struct context *ctx, struct files *files,
		      const char *path, bool recursive) MUST_CHECK;

/* Those that take the most RAM first; beyond the most, away. */
void files_sort(struct files *files);

/* Of "0=12 3=4"; 0 of nothing. */
unsigned files_average_age(const char *ages);

#endif
