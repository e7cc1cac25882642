/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines into struct command.
 *
 * mount(8) and FUSE programs give -f, -s and -v different meanings, so each
 * name has its own letters: mount.foldfs -f must mount nothing.
 */
#include "options_argv.h"
#include "options_int.h"
#include <errno.h>
#include <getopt.h>
#include <string.h>

#define SOURCE_MAX 255 /* as fsname= */

static const struct option long_options[] = {
	/* clang-format off */
	{"options",    required_argument, NULL, 'o'},
	{"config",     required_argument, NULL, 'c'},
	{"foreground", no_argument,       NULL, 'f'},
	{"debug",      no_argument,       NULL, 'd'},
	{"help",       no_argument,       NULL, 'h'},
	{"version",    no_argument,       NULL, 'V'},
	{NULL,         0,                 NULL, 0},
	/* clang-format on */
};
static const struct option no_long_options[] = {{NULL, 0, NULL, 0}};

const char *command_name(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;

	return name && *name ? name : "foldfs";
}

/* A switch of mount.foldfs; false: it is none. */
static bool take_helper_switch(struct command *c, struct options *o, int letter)
{
	switch (letter) {
	case 'f':
		c->fake = true;
		return true;
	case 's':
		o->sloppy = true;
		return true;
	case 'v':
		c->verbose = true;
		return true;
	case 'n': /* no mtab: there is none */
	case 't': /* the type is ours */
	case 'N': /* mount(8) is in that namespace already */
		return true;
	}
	return false;
}

static bool take_switch(struct command *c, int letter)
{
	switch (letter) {
	case 'f':
		c->foreground = true;
		return true;
	case 'd':
		c->debug = true;
		c->foreground = true;
		return true;
	}
	return false;
}

static bool is_own(int letter)
{
	for (size_t i = 0; long_options[i].name; i++)
		if (long_options[i].val == letter)
			return true;
	return false;
}

static int fail_switch(const struct command *c, struct options *o, int letter,
		       const char *word)
{
	/* Of "-qf" getopt() is still at the word before. */
	if (letter == ':')
		return options_fail(o, "option \"-%c\" needs a value", optopt);
	/* A long option that was given a value names itself in optopt. */
	if (letter == '?' && optopt && (c->helper || !is_own(optopt)))
		return options_fail(o, "unknown option \"-%c\"", optopt);
	return options_fail(o, "unknown option \"%.80s\"", word);
}

static int take_words(struct command *c, struct options *o, int count,
		      char *const words[])
{
	if (count == 0)
		return options_fail(o, "no mount point given");
	if (count > 2)
		return options_fail(o,
				    "too much on the command line: "
				    "\"%.80s\"",
				    words[2]);
	if (count == 1 && c->helper)
		return options_fail(o, "SOURCE and DIR are both needed");
	if (count == 2)
		c->source = words[0];
	if (c->source && (!*c->source || strlen(c->source) > SOURCE_MAX))
		return options_fail(o, "SOURCE must be of 1 to %d bytes",
				    SOURCE_MAX);
	c->mountpoint = words[count - 1];
	return 0;
}

/*
 * mount.foldfs is read twice: -s may stand behind the -o it is about, as
 * mount(8) has it.
 */
static int take_letters(struct command *c, struct options *o, int argc,
			char *const argv[], bool take_lists)
{
	const char *letters = c->helper ? ":fsnvhVt:N:o:" : ":fdhVo:c:";
	const struct option *names = c->helper ? no_long_options : long_options;
	int letter, r = 0;

	optind = 0; /* glibc: start afresh, permuting words to the end */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		if (letter == 'h')
			c->verb = COMMAND_HELP;
		else if (letter == 'V')
			c->verb = COMMAND_VERSION;
		else if (letter == 'o')
			r = take_lists ? options_take(o, optarg) : 0;
		else if (letter == 'c' && !c->helper)
			r = take_lists ? options_take_file(o, optarg) : 0;
		else if (letter == '?' || letter == ':' ||
			 !(c->helper ? take_helper_switch(c, o, letter)
				     : take_switch(c, letter)))
			return fail_switch(c, o, letter, argv[optind - 1]);
		if (r < 0)
			return r;
	}
	return 0;
}

int command_parse(struct command *c, struct options *o, int argc,
		  char *const argv[])
{
	int r;

	*c = (struct command){
		.helper = strncmp(command_name(argv[0]), "mount.", 6) == 0};
	r = take_letters(c, o, argc, argv, false);
	if (r < 0 || c->verb != COMMAND_MOUNT)
		return r;
	r = take_letters(c, o, argc, argv, true);
	if (r == 0)
		r = options_check(o);
	if (r == 0 && c->debug && o->profile == FS_PROFILE_SWAP)
		r = options_fail(o, "option \"profile=swap\": \"-d\" would "
				    "print every request, which may have to "
				    "wait for swap");
	if (r < 0)
		return r;
	return take_words(c, o, argc - optind, argv + optind);
}

void command_help(FILE *out)
{
	fputs("Usage: foldfs [-o OPTIONS] [SOURCE] MOUNTPOINT\n"
	      "       mount.foldfs SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS]\n"
	      "\n"
	      "Mount a directory whose files are kept compressed in memory.\n"
	      "\n"
	      "  -o, --options LIST  mount options, separated by commas\n"
	      "  -c, --config FILE   as -o config=FILE, with no escapes in it\n"
	      "  -f, --foreground    stay in the foreground\n"
	      "  -d, --debug         the same, and print every request\n"
	      "  -h, --help          print this and end\n"
	      "  -V, --version       print the version and end\n"
	      "\n",
	      out);
	options_help(out);
	fputs("\nUnmount with umount MOUNTPOINT, as an ordinary user with\n"
	      "fusermount3 -u MOUNTPOINT. All data is gone then.\n"
	      "See foldfs(8).\n",
	      out);
}
