/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a path lead to a foldfs, or a disk to a file on one? Links of a path are
 * followed here, one component at a time, and each is looked up among the
 * mounts before the file system is asked about it: a daemon that looked a name
 * up on its own mount would wait for itself.
 */
#include "backing/inside.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINKS_MAX 40u
/* Disks on files on disks. */
#define DEPTH_MAX 16u

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

/* A line of mountinfo. */
struct mount_line {
	dev_t dev;
	const char *point;
	bool foldfs;
};

static bool parse_line(char *line, struct mount_line *ret)
{
	char *type = strstr(line, " - ");
	unsigned major, minor;
	char *point;

	if (!type || sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2)
		return false;
	ret->dev = makedev(major, minor);
	ret->foldfs = !strncmp(type + 3, "fuse.foldfs ", 12);
	point = field(line, 4);
	if (point)
		unescape(point);
	ret->point = point;
	return point != NULL;
}

/* Is a foldfs mounted at just @path (the last of several covers the others) or,
 * if that is NULL, is @dev one? 1, 0 or -errno. */
static int is_foldfs(const char *path, dev_t dev, const char *mountinfo)
{
	FILE *f = fopen(mountinfo, "re");
	char *line = NULL;
	size_t room = 0;
	int found = 0;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		struct mount_line mount;

		if (!parse_line(line, &mount))
			continue;
		if (path && !strcmp(mount.point, path))
			found = mount.foldfs;
		if (!path && mount.foldfs && mount.dev == dev)
			found = 1;
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
	r = is_foldfs(w->at, 0, mountinfo);
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
		r = is_foldfs("/", 0, mountinfo);
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

/* --- disks --- */

/* Where disks are looked up, and how deep already. */
struct stack {
	const char *sysfs, *mountinfo;
	unsigned depth;
};

static int check_disk(struct stack *stack, dev_t dev);

static int read_line(const char *path, char *text, int text_bytes)
{
	FILE *f = fopen(path, "re");
	char *line = f ? fgets(text, text_bytes, f) : NULL;

	if (f)
		fclose(f);
	if (!line)
		return -ENOENT;
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* The file of a loop device, and the disk that it is on. */
static int check_file(struct stack *stack, const char *path)
{
	int r = path_check(path, stack->mountinfo);
	struct stat st;

	if (r == -EXDEV)
		return r;
	/* One of another root, or deleted: nothing is known of it. */
	if (r < 0 || stat(path, &st) < 0)
		return 0;
	return check_disk(stack, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
}

/* What it is made of, if it is: partitions of a disk, mapped and RAID ones. */
static int check_below(struct stack *stack, const char *disk)
{
	char path[PATH_MAX + sizeof("/slaves//dev") + NAME_MAX], text[32];
	const struct dirent *entry;
	unsigned major, minor;
	int r = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/slaves", disk);
	d = opendir(path);
	while (d && !r && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/slaves/%s/dev", disk,
			 entry->d_name);
		if (entry->d_name[0] != '.' &&
		    !read_line(path, text, sizeof(text)) &&
		    sscanf(text, "%u:%u", &major, &minor) == 2)
			r = check_disk(stack, makedev(major, minor));
	}
	if (d)
		closedir(d);
	return r;
}

static int check_disk(struct stack *stack, dev_t dev)
{
	/* Of a partition the disk is the directory above. */
	static const char *const loops[] = {"loop/backing_file",
					    "../loop/backing_file"};
	char disk[PATH_MAX], path[PATH_MAX + 32], file[PATH_MAX];
	int r = 0;

	if (is_foldfs(NULL, dev, stack->mountinfo) > 0)
		return -EXDEV;
	if (stack->depth >= DEPTH_MAX)
		return 0;
	stack->depth++;
	snprintf(disk, sizeof(disk), "%s/%u:%u", stack->sysfs, major(dev),
		 minor(dev));
	for (unsigned i = 0; !r && i < ARRAY_SIZE(loops); i++) {
		snprintf(path, sizeof(path), "%s/%s", disk, loops[i]);
		if (!read_line(path, file, sizeof(file)))
			r = check_file(stack, file);
	}
	if (!r)
		r = check_below(stack, disk);
	stack->depth--;
	return r;
}

int path_check_device(dev_t dev, const char *sysfs, const char *mountinfo)
{
	struct stack stack = {.sysfs = sysfs, .mountinfo = mountinfo};

	return check_disk(&stack, dev);
}
