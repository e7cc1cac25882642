/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl metrics: the keys of one mount, or of all, for a monitoring system.
 *
 * A file is put in place whole, so that its reader never sees half of one. A
 * mount whose daemon does not answer is told as such and spoils nothing else.
 */
#include "foldctl/asked.h"
#include "foldctl/families.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct metrics_options {
	const char *textfile;
	bool prometheus;
};

/* @only: NULL, all. What stands before in the list is not told twice. */
static unsigned read_mounts(struct context *ctx, const struct mount *only,
			    struct reading *readings, struct asked *asked)
{
	const struct mounts *mounts = &ctx->mounts;
	unsigned n = 0;

	for (unsigned i = 0; i < mounts->n; i++) {
		const struct mount *mount = &mounts->list[i];

		if (only ? mount != only : mount->again)
			continue;
		readings[n].mount = mount;
		asked_begin(ctx, mount, &asked[n++]);
	}
	for (unsigned i = 0; i < n; i++)
		readings[i].stats = asked_end(&asked[i]);
	return n;
}

/* --- where to --- */

/*
 * What @path leads to, to be given to free(): a link stays and its target is
 * replaced. -EEXIST: there is something that a file must not take the place of.
 */
static int target_of(const char *path, char **ret_target)
{
	char *target = realpath(path, NULL);
	struct stat st;

	if (!target && lstat(path, &st) == 0)
		return -errno;
	if (!target && errno == ENOENT)
		target = strdup(path);
	if (!target)
		return -errno;
	if (stat(target, &st) == 0 && !S_ISREG(st.st_mode)) {
		free(target);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
	}
	*ret_target = target;
	return 0;
}

/* Into a new file beside it, which then takes its name. */
static int replace(struct exposition *e, const char *path,
		   const struct reading *readings, unsigned n)
{
	char *name;
	int fd, r = 0;

	if (asprintf(&name, "%s.XXXXXX", path) < 0)
		die("%s", strerror(ENOMEM));
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		free(name);
		return r;
	}
	e->out = fdopen(fd, "w");
	if (!e->out)
		die("%s", strerror(ENOMEM));
	families_print(e, readings, n);
	/* It is read by whoever collects, who is not who writes. */
	if (fflush(e->out) != 0 || fchmod(fd, 0644) < 0)
		r = -errno;
	if (fclose(e->out) != 0 && !r)
		r = -errno;
	if (!r && rename(name, path) < 0)
		r = -errno;
	if (r)
		unlink(name);
	free(name);
	return r;
}

static int print_to_file(struct exposition *e, const char *path,
			 const struct reading *readings, unsigned n)
{
	char *target = NULL;
	int r = target_of(path, &target);

	if (r == 0) {
		r = replace(e, target, readings, n);
		free(target);
	}
	if (r == 0)
		return EXIT_DONE;
	say("%s: %s", path,
	    r == -EEXIST ? "it is there and no regular file" : strerror(-r));
	return EXIT_FAILED;
}

static int print(const struct metrics_options *options,
		 const struct reading *readings, unsigned n)
{
	struct exposition e = {
		.out = stdout,
		.prometheus = options->prometheus || options->textfile,
	};

	if (options->textfile)
		return print_to_file(&e, options->textfile, readings, n);
	families_print(&e, readings, n);
	return EXIT_DONE;
}

static int metrics(struct context *ctx, const struct mount *only,
		   const struct metrics_options *options)
{
	unsigned most = ctx->mounts.n + 1, n;
	struct reading *readings = calloc(most, sizeof(*readings));
	struct asked *asked = calloc(most, sizeof(*asked));
	int code;

	if (!readings || !asked)
		die("%s", strerror(ENOMEM));
	n = read_mounts(ctx, only, readings, asked);
	code = print(options, readings, n);
	if (only && asked[0].error < 0 && code == EXIT_DONE)
		code = context_no_answer(only, asked[0].error,
					 &asked[0].client);
	for (unsigned i = 0; i < n; i++)
		json_decref(readings[i].stats);
	free(readings);
	free(asked);
	return code;
}

static int take_options(struct context *ctx, int argc, char **argv,
			struct metrics_options *options)
{
	static const struct verb_help help = {
		"     --textfile FILE    for node_exporter: write FILE, whole "
		"or not at all\n"
		" -p, --prometheus       the older text format, as in "
		"--textfile\n",
		NULL};
	static const struct option longs[] = {
		{"textfile", required_argument, NULL, 't'},
		{"prometheus", no_argument, NULL, 'p'},
		CONTEXT_OPTIONS,
		{NULL, 0, NULL, 0}};
	int c, code;

	while ((c = getopt_long(argc, argv, "p" CONTEXT_SHORT, longs, NULL)) !=
	       -1) {
		if (c == 't') {
			options->textfile = optarg;
		} else if (c == 'p') {
			options->prometheus = true;
		} else {
			code = context_option(ctx, c, optarg, &help);
			if (code != CONTEXT_GO_ON)
				return code;
		}
	}
	return CONTEXT_GO_ON;
}

int verb_metrics(struct context *ctx, int argc, char **argv)
{
	struct metrics_options options = {0};
	const struct mount *only = NULL;
	int code = take_options(ctx, argc, argv, &options);

	if (code == CONTEXT_GO_ON)
		code = context_one_mount(ctx, argc, argv);
	if (code != CONTEXT_GO_ON)
		return code;
	code = optind < argc ? context_mount(ctx, argv[optind], &only)
			     : context_mounts(ctx);
	return code == EXIT_DONE ? metrics(ctx, only, &options) : code;
}
