/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two command lines of the program: foldfs, and mount.foldfs as mount(8)
 * calls it. Which one is decided by the name it was started under.
 */
#ifndef SRC_OPTIONS_ARGV_H
#define SRC_OPTIONS_ARGV_H

#include "options.h"

/* Exit codes of mount(8), for both names. */
enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_USAGE = 1,  /* wrong call, or no permission */
	EXIT_CODE_SYSTEM = 2, /* no memory, no process, no descriptor */
	EXIT_CODE_MOUNT = 32  /* the mount failed */
};

enum command_verb { COMMAND_MOUNT, COMMAND_HELP, COMMAND_VERSION };

struct command {
	enum command_verb verb;
	bool helper;        /* called as mount.foldfs */
	bool foreground;    /* -f of foldfs */
	bool debug;         /* -d of foldfs */
	bool fake;          /* -f of mount.foldfs: check and mount nothing */
	bool verbose;       /* -v of mount.foldfs */
	const char *source; /* NULL: none given */
	const char *mountpoint;
};

/* The name that messages carry: the last part of argv[0]. */
const char *command_name(const char *argv0);

/*
 * Read @argv; options go to @o. On failure o->error says what is wrong.
 * -EINVAL, -ENOMEM.
 */
int command_parse(struct command *c, struct options *o, int argc,
		  char *const argv[]) MUST_CHECK;
void command_help(FILE *out);

#endif
