/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl spill and fetch: send the pages of files to the backing file, or
 * bring them back, by a key of each file.
 *
 * What was moved is what the files' own numbers say before and after, so pages
 * that went by themselves meanwhile are in it.
 */
#include "base/size.h"
#include "foldctl/attr.h"
#include "foldctl/files.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#define PAGES_MAX 256
/* Between two tries while something else is done by hand. */
#define AGAIN_MS 20u

struct request {
	bool out, recursive;
	const char *pages; /* as the key has them; NULL: all */
};

static int parse(struct context *ctx, int argc, char **argv,
		 struct request *req)
{
	static const struct option longs[] = {
		{"recursive", no_argument, NULL, 'r'},
		{"pages", required_argument, NULL, 'p'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -r, --recursive      all files below directories\n"
		" -p, --pages A-B      only these pages of 4 KiB, from 0; "
		"several by commas\n",
		NULL};
	int c, r = CONTEXT_GO_ON;

	while (r == CONTEXT_GO_ON &&
	       (c = getopt_long(argc, argv, "rp:" CONTEXT_SHORT, longs,
				NULL)) != -1) {
		if (c == 'r')
			req->recursive = true;
		else if (c == 'p')
			req->pages = optarg;
		else
			r = context_option(ctx, c, optarg, &help);
	}
	if (r == CONTEXT_GO_ON && optind == argc)
		r = context_usage(ctx, "which file?");
	if (r == CONTEXT_GO_ON && req->pages &&
	    (strlen(req->pages) >= PAGES_MAX || !*req->pages ||
	     strspn(req->pages, "0123456789-,") != strlen(req->pages)))
		r = context_usage(ctx, "--pages %s: not as 0-99,200",
				  req->pages);
	return r;
}

/* "out 0-99 200" */
static void value_of(const struct request *req, char value[PAGES_MAX + 8])
{
	snprintf(value, PAGES_MAX + 8, "%s%s%s", req->out ? "out" : "in",
		 req->pages ? " " : "", req->pages ? req->pages : "");
	for (char *c = value; *c; c++)
		if (*c == ',')
			*c = ' ';
}

/* Somebody else's spilling by hand is waited for as long as an answer. */
static int set_key(const struct context *ctx, const char *path,
		   const char *value)
{
	const struct timespec nap = {.tv_nsec = AGAIN_MS * 1000000L};
	unsigned waited_ms = 0;
	int r;

	for (;;) {
		r = setxattr(path, FOLDFS_FILE_SPILL, value, strlen(value), 0);
		if (r == 0 || errno != EBUSY || waited_ms >= ctx->timeout_ms)
			return r < 0 ? -errno : 0;
		nanosleep(&nap, NULL);
		waited_ms += AGAIN_MS;
	}
}

static const char *why(const struct request *req, int r)
{
	switch (-r) {
	case ENODEV:
		return "the mount has no backing file (foldctl set spill PATH)";
	case ENOSPC:
		return req->out ? "the backing file is full, or "
				  "writeback_limit is reached"
				: "it does not fit into mem_limit";
	case EBUSY:
		return "something else is being spilled by hand; try again";
	case EPERM:
	case EACCES:
		return "only root, who mounted and the file's owner may do "
		       "that";
	case ERANGE:
	case EINVAL:
		return "no such pages";
	case EINTR:
		return "called off";
	}
	return strerror(-r);
}

/* False: no other file would fare better. */
static bool move_one(const struct context *ctx, const struct request *req,
		     const char *path, const char *value, int *code)
{
	int r = set_key(ctx, path, value);

	if (r == 0 || r == -ENOENT)
		return true; /* one that went meanwhile is no loss */
	progress_end();
	say("%s: %s", path, why(req, r));
	*code = EXIT_FAILED;
	return r == -EIO || r == -EPERM || r == -EACCES;
}

static uint64_t number_of(const char *path, const char *name)
{
	char text[32];

	return attr_get(path, name, text, sizeof(text)) == 0
		       ? strtoull(text, NULL, 10)
		       : 0;
}

static void print_sum(const struct request *req, const struct files *files)
{
	uint64_t spilled = 0, resident = 0, before = files->sum.spilled;
	char moved[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX], disk[SIZE_TEXT_MAX];

	for (size_t i = 0; i < files->n; i++) {
		spilled += number_of(files->list[i].path, FOLDFS_FILE_SPILLED);
		resident +=
			number_of(files->list[i].path, FOLDFS_FILE_RESIDENT);
	}
	if (req->out)
		size_format(spilled > before ? spilled - before : 0, moved);
	else
		size_format(before > spilled ? before - spilled : 0, moved);
	printf("%" PRIu64 " file%s: %s %s; now %s in RAM, %s in the backing "
	       "file\n",
	       files->found, files->found == 1 ? "" : "s", moved,
	       req->out ? "went out" : "came back", size_format(resident, ram),
	       size_format(spilled, disk));
}

static int move_all(struct context *ctx, const struct request *req,
		    const struct files *files)
{
	char value[PAGES_MAX + 8];
	int code = EXIT_DONE;
	bool go_on = true;

	value_of(req, value);
	for (size_t i = 0; i < files->n && go_on; i++) {
		progress("%zu of %zu: %s", i + 1, files->n,
			 files->list[i].path);
		go_on = move_one(ctx, req, files->list[i].path, value, &code);
	}
	progress_end();
	return code;
}

static int run(struct context *ctx, int argc, char **argv, bool out)
{
	struct request req = {.out = out};
	struct files files;
	int code = EXIT_DONE, r = parse(ctx, argc, argv, &req);

	if (r != CONTEXT_GO_ON)
		return r;
	files_init(&files, 0);
	for (int i = optind; i < argc; i++) {
		r = files_add_operand(ctx, &files, argv[i], req.recursive);
		if (code == EXIT_DONE)
			code = r;
	}
	if (files.n) {
		r = move_all(ctx, &req, &files);
		if (code == EXIT_DONE)
			code = r;
		print_sum(&req, &files);
	}
	files_fini(&files);
	return code;
}

int verb_spill(struct context *ctx, int argc, char **argv)
{
	return run(ctx, argc, argv, true);
}

int verb_fetch(struct context *ctx, int argc, char **argv)
{
	return run(ctx, argc, argv, false);
}
