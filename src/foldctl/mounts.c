/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc/self/mountinfo by libmount, which knows its escapes. */
#include "foldctl/mounts.h"
#include <errno.h>
#include <libmount/libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define OUR_TYPE "fuse.foldfs"

static bool is_ours(struct libmnt_fs *fs)
{
	const char *type = mnt_fs_get_fstype(fs);

	return type && strcmp(type, OUR_TYPE) == 0;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static uid_t owner_of(const char *options)
{
	char *value;
	size_t n;

	if (mnt_optstr_get_option(options, "user_id", &value, &n) != 0)
		return 0;
	return (uid_t)strtoul(value, NULL, 10);
}

static void fill_in(struct mount *mount, struct libmnt_fs *fs)
{
	const char *options = or_empty(mnt_fs_get_options(fs));

	*mount = (struct mount){
		.id = minor(mnt_fs_get_devno(fs)),
		.place = (unsigned)mnt_fs_get_id(fs),
		.point = or_empty(mnt_fs_get_target(fs)),
		.source = or_empty(mnt_fs_get_source(fs)),
		.options = options,
		.owner = owner_of(options),
	};
}

static bool has_id(const struct mounts *mounts, unsigned id)
{
	for (unsigned i = 0; i < mounts->n; i++)
		if (mounts->list[i].id == id)
			return true;
	return false;
}

static int collect(struct mounts *mounts)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int all = mnt_table_get_nents(mounts->table);

	mounts->list = calloc((size_t)all + 1, sizeof(*mounts->list));
	if (!iter || !mounts->list) {
		mnt_free_iter(iter);
		return -ENOMEM;
	}
	while (mnt_table_next_fs(mounts->table, iter, &fs) == 0)
		if (is_ours(fs)) {
			struct mount *mount = &mounts->list[mounts->n];

			fill_in(mount, fs);
			mount->again = has_id(mounts, mount->id);
			mounts->n++;
		}
	mnt_free_iter(iter);
	return 0;
}

int mounts_read(struct mounts *ret_mounts, const char *file)
{
	struct mounts mounts = {.table = mnt_new_table()};
	int r;

	if (!mounts.table)
		return -ENOMEM;
	r = mnt_table_parse_file(mounts.table,
				 file ? file : "/proc/self/mountinfo");
	if (r > 0)
		r = -EIO;
	if (r == 0)
		r = collect(&mounts);
	if (r < 0) {
		mounts_fini(&mounts);
		return r;
	}
	*ret_mounts = mounts;
	return 0;
}

void mounts_fini(struct mounts *mounts)
{
	free(mounts->list);
	mnt_unref_table(mounts->table);
	*mounts = (struct mounts){0};
}

/* How much of @path the mount point covers; 0: it does not lie there. */
static size_t covers(const char *point, const char *path)
{
	size_t n = strlen(point);

	if (strcmp(point, "/") == 0)
		return 1;
	if (strncmp(path, point, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return 0;
	return n;
}

/* Of all mounts, for another file system may lie between ours and @path; of
 * two on the same point the later covers the earlier. */
static struct libmnt_fs *deepest(struct libmnt_table *table, const char *path)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs, *best = NULL;
	size_t most = 0;

	if (!iter)
		return NULL;
	while (mnt_table_next_fs(table, iter, &fs) == 0) {
		size_t n = covers(or_empty(mnt_fs_get_target(fs)), path);

		if (n > 0 && n >= most) {
			best = fs;
			most = n;
		}
	}
	mnt_free_iter(iter);
	return best;
}

const struct mount *mounts_of_path(const struct mounts *mounts,
				   const char *path)
{
	struct libmnt_fs *fs = deepest(mounts->table, path);
	const char *point = fs ? mnt_fs_get_target(fs) : NULL;

	if (!point || !is_ours(fs))
		return NULL;
	for (unsigned i = mounts->n; i-- > 0;)
		if (strcmp(mounts->list[i].point, point) == 0)
			return &mounts->list[i];
	return NULL;
}

const struct mount *mounts_of_name(const struct mounts *mounts,
				   const char *name, unsigned *ret_n)
{
	const struct mount *found = NULL;
	char *end;
	unsigned long id = strtoul(name, &end, 10);
	bool is_id = *name >= '0' && *name <= '9' && *end == '\0';

	*ret_n = 0;
	for (unsigned i = 0; i < mounts->n; i++) {
		const struct mount *m = &mounts->list[i];

		if (m->again)
			continue;
		if (is_id ? m->id == id : strcmp(m->source, name) == 0) {
			found = found ? found : m;
			++*ret_n;
		}
	}
	return found;
}

/* Take the last name of @path off; the root stays. */
static size_t parent(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* Add the names of @path to the @n bytes there are. */
static int add_names(const char *path, char *to, size_t cap, size_t *n)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0) {
			*n = parent(to, *n);
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			if (*n + 1 + len + 1 > cap)
				return -ENAMETOOLONG;
			to[(*n)++] = '/';
			memcpy(to + *n, path, len);
			*n += len;
		}
		path += len + (path[len] == '/');
	}
	return 0;
}

int path_normal(const char *directory, const char *path, char *ret_path,
		size_t cap)
{
	size_t n = 0;
	int r = 0;

	if (*path != '/')
		r = add_names(directory, ret_path, cap, &n);
	if (r == 0)
		r = add_names(path, ret_path, cap, &n);
	if (r < 0 || cap < 2)
		return -ENAMETOOLONG;
	if (n == 0)
		ret_path[n++] = '/';
	ret_path[n] = '\0';
	return 0;
}
