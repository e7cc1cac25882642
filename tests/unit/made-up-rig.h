/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder with a /proc and a /sys that are made up. */
#ifndef TESTS_UNIT_MADE_UP_RIG_H
#define TESTS_UNIT_MADE_UP_RIG_H

#include "base/compiler.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char top[64], proc[96], sys[96];

/* A file of the folder, and the directories on the way to it. */
static inline void put(const char *path, const char *text)
{
	char whole[256], *slash;
	FILE *f;

	snprintf(whole, sizeof(whole), "%s/%s", top, path);
	for (slash = strchr(whole + 5, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(whole, 0700);
		*slash = '/';
	}
	f = fopen(whole, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline int begin(void **state UNUSED)
{
	snprintf(top, sizeof(top), "/tmp/test-made-up-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(proc, sizeof(proc), "%s/proc", top);
	snprintf(sys, sizeof(sys), "%s/sys", top);
	return 0;
}

static inline int end(void **state UNUSED)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

#endif
