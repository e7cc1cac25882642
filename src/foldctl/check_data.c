/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl check --data: has the daemon read all that is in the backing file,
 * and says which files have pages that cannot be read.
 *
 * The daemon knows inodes; their names are looked for in the mount, but only
 * if there is something to be said of them.
 */
#include "foldctl/check_data.h"
#include "foldctl/interrupt.h"
#include "foldctl/term.h"
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 100
/* As many as the daemon tells of. */
#define RANGES_MAX 64u

struct range {
	uint64_t inode, first, last;
	char *path; /* NULL: it has no name, or none that we may see */
};

struct found {
	struct range range[RANGES_MAX];
	unsigned n;
};

/* --- asking --- */

static int set(struct context *ctx, const struct mount *mount, const char *word)
{
	char request[64];
	json_t *answer;
	int code;

	snprintf(request, sizeof(request), "set spill_check %s", word);
	code = context_ask_once(ctx, mount, request, &answer);
	if (code == EXIT_DONE)
		json_decref(answer);
	return code;
}

static bool is_reading(const json_t *stats)
{
	const char *state = answer_text(stats, "spill_check");

	return state && !strncmp(state, "reading", 7);
}

static int has_file(struct context *ctx, const struct mount *mount)
{
	json_t *stats;
	int code = context_stats(ctx, mount, &stats);
	const char *file;

	if (code != EXIT_DONE)
		return code;
	file = answer_text(stats, "spill");
	if (!file || strcmp(file, "none") == 0) {
		say("%s: it has no backing file", mount->point);
		code = EXIT_FAILED;
	}
	json_decref(stats);
	return code;
}

/* Until it has ended, or somebody wants it to: then it is stopped first. */
static int wait_for_end(struct context *ctx, const struct mount *mount,
			json_t **ret_stats)
{
	const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000L};
	bool stopped = false;
	int code;

	for (;;) {
		if (interrupt_seen() && !stopped) {
			stopped = true;
			code = set(ctx, mount, "stop");
			if (code != EXIT_DONE)
				return code;
		}
		code = context_stats(ctx, mount, ret_stats);
		if (code != EXIT_DONE || !is_reading(*ret_stats))
			return code;
		progress("%s: %s", mount->point,
			 answer_text(*ret_stats, "spill_check"));
		json_decref(*ret_stats);
		nanosleep(&nap, NULL);
	}
}

/* --- which files --- */

/* "12:0-7 13:5-5" */
static void parse(const char *text, struct found *found)
{
	struct range *r = found->range;
	int n;

	for (; text && found->n < RANGES_MAX; text += n, r++, found->n++) {
		*r = (struct range){0};
		if (sscanf(text, "%" SCNu64 ":%" SCNu64 "-%" SCNu64 " %n",
			   &r->inode, &r->first, &r->last, &n) != 3)
			return;
	}
}

/* nftw() has no argument to hand on. */
static struct found *wanted;

static int visit(const char *path, const struct stat *st, int type UNUSED,
		 struct FTW *ftw UNUSED)
{
	for (unsigned i = 0; i < wanted->n; i++) {
		struct range *r = &wanted->range[i];

		if (r->inode != st->st_ino || r->path)
			continue;
		r->path = strdup(path);
		if (!r->path)
			die("%s", strerror(ENOMEM));
	}
	return 0;
}

static void find_paths(const struct mount *mount, struct found *found)
{
	wanted = found;
	/* What cannot be seen stays without a name. */
	if (found->n)
		(void)!nftw(mount->point, visit, 16, FTW_PHYS | FTW_MOUNT);
}

/* --- saying --- */

static json_t *json_of(const json_t *stats, const struct found *found)
{
	json_t *all =
		json_pack("{s:s?, s:[]}", "spill_check",
			  answer_text(stats, "spill_check"), "unreadable");

	for (unsigned i = 0; i < found->n; i++) {
		const struct range *r = &found->range[i];

		json_array_append_new(
			json_object_get(all, "unreadable"),
			json_pack("{s:s*, s:I, s:I, s:I}", "path", r->path,
				  "inode", (json_int_t)r->inode, "first_page",
				  (json_int_t)r->first, "last_page",
				  (json_int_t)r->last));
	}
	return all;
}

static void print_range(const struct range *r, const char *what)
{
	char name[32];

	snprintf(name, sizeof(name), "inode %" PRIu64, r->inode);
	if (r->first == r->last)
		printf("%s: page %" PRIu64 " %s\n", r->path ? r->path : name,
		       r->first, what);
	else
		printf("%s: pages %" PRIu64 "-%" PRIu64 " %s\n",
		       r->path ? r->path : name, r->first, r->last, what);
}

static void print(const struct mount *mount, const json_t *stats,
		  const struct found *found, const struct check_data *how)
{
	json_t *all;

	if (!how->json) {
		for (unsigned i = 0; i < found->n; i++)
			print_range(&found->range[i],
				    how->give_up ? "given up"
						 : "cannot be read");
		if (found->n == RANGES_MAX)
			printf("%s: and perhaps more\n", mount->point);
		printf("%s: %s\n", mount->point,
		       answer_text(stats, "spill_check"));
		return;
	}
	all = json_of(stats, found);
	json_dumpf(all, stdout, JSON_INDENT(3));
	putchar('\n');
	json_decref(all);
}

int check_data(struct context *ctx, const struct mount *mount,
	       const struct check_data *how)
{
	struct found found = {.n = 0};
	json_t *stats;
	int code;

	code = has_file(ctx, mount);
	if (code != EXIT_DONE)
		return code;
	interrupt_catch();
	code = set(ctx, mount, how->give_up ? "give_up" : "read");
	if (code == EXIT_DONE)
		code = wait_for_end(ctx, mount, &stats);
	progress_end();
	if (code != EXIT_DONE)
		return code;
	parse(answer_text(stats, "unreadable"), &found);
	find_paths(mount, &found);
	print(mount, stats, &found, how);
	json_decref(stats);
	for (unsigned i = 0; i < found.n; i++)
		free(found.range[i].path);
	interrupt_end();
	return found.n && !how->give_up ? EXIT_FAILED : EXIT_DONE;
}
