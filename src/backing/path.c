/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a path lead to a foldfs? Its links are followed here, one component at
 * a time, and each is looked up among the mounts before the file system is
 * asked about it: a daemon that looked a name up on its own mount would wait
 * for itself.
 */
#include "backing/inside.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINKS_MAX 40u

/* "\040" and the like, as the kernel writes them in mountinfo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = '\0';
}

/* Field @n of a line, from 0; cut off in place. */
static char *field(char *line, unsigned n)
{
	for (; n; n--) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	line[strcspn(line, " \n")] = '\0';
	return line;
}

/* Where the mount of a line is and whether it is a foldfs. */
static const char *mount_point(char *line, bool *ret_foldfs)
{
	char *type = strstr(line, " - ");
	char *point;

	if (!type)
		return NULL;
	*ret_foldfs = !strncmp(type + 3, "fuse.foldfs ", 12);
	point = field(line, 4);
	if (point)
		unescape(point);
	return point;
}

/* Is a foldfs mounted at just @path? The last of several covers the others.
 * 1, 0 or -errno. */
static int is_foldfs(const char *path, const char *mountinfo)
{
	FILE *f = fopen(mountinfo, "re");
	char *line = NULL;
	size_t room = 0;
	int found = 0;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		bool foldfs;
		const char *point = mount_point(line, &foldfs);

		if (point && !strcmp(point, path))
			found = foldfs;
	}
	free(line);
	fclose(f);
	return found;
}

struct walk {
	char at[PATH_MAX];   /* so far, without a link; "" is the root */
	char rest[PATH_MAX]; /* still to go */
	unsigned links;
};

/* Take the first component off the rest; false: there is none. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(from, "/");

	if (!n || n > NAME_MAX)
		return false;
	memcpy(name, from, n);
	name[n] = '\0';
	memmove(w->rest, from + n, strlen(from + n) + 1);
	return true;
}

static void step_up(struct walk *w)
{
	char *slash = strrchr(w->at, '/');

	if (slash)
		*slash = '\0';
}

/* What the last step came to is a link: go on with where it leads. */
static int follow(struct walk *w, const char *target)
{
	char rest[2 * PATH_MAX];

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	snprintf(rest, sizeof(rest), "%s/%s", target, w->rest);
	if (strlen(rest) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	strcpy(w->rest, rest);
	if (target[0] == '/')
		w->at[0] = '\0';
	else
		step_up(w);
	return 0;
}

static int step(struct walk *w, const char *name, const char *mountinfo)
{
	size_t n = strlen(w->at);
	char target[PATH_MAX];
	ssize_t length;
	int r;

	if (n + 1 + strlen(name) >= sizeof(w->at))
		return -ENAMETOOLONG;
	w->at[n] = '/';
	strcpy(w->at + n + 1, name);
	r = is_foldfs(w->at, mountinfo);
	if (r)
		return r < 0 ? r : -EXDEV;
	/* The last one is opened without following it. */
	if (!w->rest[strspn(w->rest, "/")])
		return 0;
	length = readlink(w->at, target, sizeof(target) - 1);
	if (length < 0)
		return errno == EINVAL ? 0 : -errno;
	target[length] = '\0';
	return follow(w, target);
}

static int start(struct walk *w, const char *path)
{
	size_t n = 0;

	*w = (struct walk){0};
	if (path[0] != '/') {
		if (!getcwd(w->rest, sizeof(w->rest)))
			return -errno;
		n = strlen(w->rest);
		if (n + 1 < sizeof(w->rest))
			w->rest[n++] = '/';
	}
	if (n + strlen(path) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	strcpy(w->rest + n, path);
	return 0;
}

int path_check(const char *path, const char *mountinfo)
{
	char name[NAME_MAX + 1];
	struct walk w;
	int r = start(&w, path);

	if (!r)
		r = is_foldfs("/", mountinfo);
	if (r)
		return r < 0 ? r : -EXDEV;
	while (next_name(&w, name)) {
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			step_up(&w);
			continue;
		}
		r = step(&w, name, mountinfo);
		if (r < 0)
			return r;
	}
	return 0;
}
