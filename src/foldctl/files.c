/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks by fts(3): one file system, no symbolic link but an operand. */
#include "foldctl/files.h"
#include "foldctl/attr.h"
#include "foldctl/term.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_STEP 512
/* How many more than the most are kept before they are sorted out. */
#define SPARE 256

void files_init(struct files *files, size_t most)
{
	*files = (struct files){.most = most};
	files->sum.codec = files->codecs;
	files->sum.ages = files->ages;
}

void files_fini(struct files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->list[i].path);
	free(files->list);
	tdestroy(files->linked, free);
	*files = (struct files){0};
}

/* --- counts in text: "lz4=12 raw=1" --- */

static const char *next_count(const char *text, char name[24], uint64_t *ret_n)
{
	int length = 0;

	if (sscanf(text, "%23[^= ]=%" SCNu64 "%n", name, ret_n, &length) != 2)
		return NULL;
	text += length;
	return *text == ' ' ? text + 1 : text;
}

static uint64_t count_of(const char *text, const char *wanted)
{
	char name[24];
	uint64_t n;

	while ((text = next_count(text, name, &n)))
		if (strcmp(name, wanted) == 0)
			return n;
	return 0;
}

/* Append to the text of @at characters; its new length. What does not fit is
 * left out whole. */
static int put_count(char text[FILES_COUNTS_MAX], int at, const char *name,
		     uint64_t n)
{
	int left = FILES_COUNTS_MAX - at;
	int length = snprintf(text + at, (size_t)left, "%s%s=%" PRIu64,
			      at ? " " : "", name, n);

	if (length < left)
		return at + length;
	text[at] = '\0';
	return at;
}

/* Add the counts of @more to those of @sum. */
static void add_counts(char sum[FILES_COUNTS_MAX], const char *more)
{
	char total[FILES_COUNTS_MAX];
	const char *at;
	char name[24];
	uint64_t count;
	int n = 0;

	total[0] = '\0';
	for (at = sum; (at = next_count(at, name, &count));)
		n = put_count(total, n, name, count + count_of(more, name));
	for (at = more; (at = next_count(at, name, &count));)
		if (count_of(sum, name) == 0)
			n = put_count(total, n, name, count);
	strcpy(sum, total);
}

unsigned files_average_age(const char *ages)
{
	uint64_t n, pages = 0, sum = 0;
	char name[24];

	while ((ages = next_count(ages, name, &n))) {
		pages += n;
		sum += n * strtoul(name, NULL, 10);
	}
	return pages ? (unsigned)((sum + pages / 2) / pages) : 0;
}

/* --- one file --- */

/* The path and the texts of @stats in one piece of memory. */
static void put_texts(struct file_entry *entry, const char *path,
		      const json_t *stats)
{
	const char *codec = answer_text(stats, "codec");
	const char *ages = answer_text(stats, "ages");
	size_t at_codec = strlen(path) + 1;
	size_t at_ages = at_codec + strlen(codec ? codec : "") + 1;
	char *text = calloc(1, at_ages + strlen(ages ? ages : "") + 1);

	if (!text)
		die("out of memory");
	strcpy(text, path);
	strcpy(text + at_codec, codec ? codec : "");
	strcpy(text + at_ages, ages ? ages : "");
	entry->path = text;
	entry->codec = text + at_codec;
	entry->ages = text + at_ages;
}

static int ask(const char *path, struct file_entry *entry)
{
	char text[1024];
	json_t *stats;
	int r = attr_get(path, FOLDFS_FILE_STATS, text, sizeof(text));

	if (r < 0)
		return r;
	stats = json_loads(text, 0, NULL);
	if (!json_is_object(stats)) {
		json_decref(stats);
		return -EPROTO;
	}
	entry->logical = answer_number(stats, "logical");
	/* These are whole pages: the end of the last is nobody's data. */
	if (entry->logical > entry->size)
		entry->logical = entry->size;
	entry->resident = answer_number(stats, "resident");
	entry->spilled = answer_number(stats, "spilled");
	put_texts(entry, path, stats);
	json_decref(stats);
	return 0;
}

static void sum_up(struct files *files, const struct file_entry *entry)
{
	struct file_entry *sum = &files->sum;

	files->found++;
	sum->size += entry->size;
	sum->logical += entry->logical;
	sum->resident += entry->resident;
	sum->spilled += entry->spilled;
	add_counts(files->codecs, entry->codec);
	add_counts(files->ages, entry->ages);
}

static void keep(struct files *files, const struct file_entry *entry)
{
	if (files->n == files->cap) {
		size_t cap = files->cap ? files->cap * 2 : SPARE;
		struct file_entry *list =
			reallocarray(files->list, cap, sizeof(*list));

		if (!list)
			die("out of memory for %zu files", cap);
		files->list = list;
		files->cap = cap;
	}
	files->list[files->n++] = *entry;
	if (files->most && files->n >= files->most + SPARE)
		files_sort(files);
}

int files_add(struct files *files, const char *path, const struct stat *st)
{
	struct file_entry entry = {.size = (uint64_t)st->st_size};
	int r = ask(path, &entry);

	if (r < 0)
		return r;
	sum_up(files, &entry);
	keep(files, &entry);
	return 0;
}

static int heavier_first(const void *a, const void *b)
{
	const struct file_entry *x = a, *y = b;

	if (x->resident != y->resident)
		return x->resident < y->resident ? 1 : -1;
	return strcmp(x->path, y->path);
}

void files_sort(struct files *files)
{
	if (files->n)
		qsort(files->list, files->n, sizeof(*files->list),
		      heavier_first);
	while (files->most && files->n > files->most)
		free(files->list[--files->n].path);
}

/* --- many --- */

struct identity {
	dev_t dev;
	ino_t ino;
};

static int by_identity(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Whether another name of this file was here before. */
static bool seen_before(struct files *files, const struct stat *st)
{
	struct identity *id;
	void *found;

	if (st->st_nlink < 2)
		return false;
	id = malloc(sizeof(*id));
	if (id)
		*id = (struct identity){st->st_dev, st->st_ino};
	found = id ? tsearch(id, &files->linked, by_identity) : NULL;
	if (!found)
		die("out of memory");
	if (*(struct identity **)found == id)
		return false;
	free(id);
	return true;
}

/* An exit code. A file that went meanwhile is none. */
static int visit(struct files *files, const FTSENT *e)
{
	int r = e->fts_errno;

	if (e->fts_info == FTS_F) {
		if (seen_before(files, e->fts_statp))
			return EXIT_DONE;
		r = -files_add(files, e->fts_accpath, e->fts_statp);
		if (files->found % PROGRESS_STEP == 0)
			progress("%" PRIu64 " files", files->found);
	} else if (e->fts_info != FTS_DNR && e->fts_info != FTS_ERR &&
		   e->fts_info != FTS_NS) {
		return EXIT_DONE;
	}
	if (r == 0 || r == ENOENT)
		return EXIT_DONE;
	return attr_failed(e->fts_path, -r);
}

int files_walk(struct files *files, const char *path)
{
	char *copy = strdup(path);
	char *roots[] = {copy, NULL};
	int code = EXIT_DONE, worst = EXIT_DONE;
	FTSENT *e;
	FTS *walk;

	if (!copy)
		die("out of memory");
	walk = fts_open(roots,
			FTS_PHYSICAL | FTS_COMFOLLOW | FTS_XDEV | FTS_NOCHDIR,
			NULL);
	if (!walk)
		die("%s: %s", path, strerror(errno));
	while (errno = 0, e = fts_read(walk)) {
		code = visit(files, e);
		if (code != EXIT_DONE)
			worst = code;
	}
	if (errno)
		worst = attr_failed(path, -errno);
	progress_end();
	fts_close(walk);
	free(copy);
	return worst;
}

int files_add_operand(struct context *ctx, struct files *files,
		      const char *path, bool recursive)
{
	struct stat st;
	int r = attr_stat(ctx, path, &st);

	if (r != EXIT_DONE)
		return r;
	if (recursive && S_ISDIR(st.st_mode))
		return files_walk(files, path);
	if (!S_ISREG(st.st_mode)) {
		say("%s: %s", path,
		    S_ISDIR(st.st_mode) ? "a directory; -r takes all files "
					  "in it"
					: "not a regular file");
		return EXIT_FAILED;
	}
	r = files_add(files, path, &st);
	return r < 0 ? attr_failed(path, r) : EXIT_DONE;
}
