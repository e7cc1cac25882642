/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on many small files with as little cost of its own as can be, timed.
 *
 *	names DIR COUNT DATA PHASE...
 *
 * COUNT files below DIR, 1000 to a directory. Phases in the order given:
 * create (empty), stat (all, in mixed order), list (every directory), rename,
 * unlink; fill (create, and write 1 to 4096 bytes of the file DATA), check
 * (open, read and compare; after a rename the new names). Prints one line for
 * each: its name and its seconds. Ends with 1 where anything is not as it
 * should be.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { IN_DIR = 1000, MOST_BYTES = 4096, DATA_BYTES = 16 << 20 };

static unsigned long count;
static char data[DATA_BYTES];
static size_t data_bytes;
static bool renamed, filled;

struct name {
	char text[64];
};

static struct name name_of(unsigned long i, bool after)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "d%03lu/%s-%06lu", i / IN_DIR,
		 after ? "renamed" : "file", i);
	return name;
}

/* Files in an order that is neither theirs nor random: count is no multiple
 * of this prime. */
static unsigned long mixed(unsigned long i)
{
	return i * 48611 % count;
}

static uint64_t scatter(uint64_t i)
{
	i = (i + 1) * 0x9e3779b97f4a7c15;
	return i ^ (i >> 29);
}

static size_t bytes_of(unsigned long i)
{
	return 1 + scatter(i) % MOST_BYTES;
}

static const char *content_of(unsigned long i)
{
	return data + scatter(~i) % (data_bytes - MOST_BYTES);
}

static void make(unsigned long i, bool fill)
{
	struct name name = name_of(i, false);
	int fd = open(name.text, O_WRONLY | O_CREAT | O_EXCL, 0644);
	ssize_t bytes = fill ? (ssize_t)bytes_of(i) : 0;

	if (fd < 0)
		err(1, "create %s", name.text);
	if (fill && write(fd, content_of(i), (size_t)bytes) != bytes)
		err(1, "write %s", name.text);
	if (close(fd))
		err(1, "close %s", name.text);
}

static void make_all(bool fill)
{
	filled = fill;
	for (unsigned long i = 0; i < count; i++) {
		char dir[32];

		snprintf(dir, sizeof(dir), "d%03lu", i / IN_DIR);
		if (i % IN_DIR == 0 && mkdir(dir, 0755))
			err(1, "mkdir %s", dir);
		make(i, fill);
	}
}

static void create(void)
{
	make_all(false);
}

static void fill(void)
{
	make_all(true);
}

static void stat_all(void)
{
	for (unsigned long i = 0; i < count; i++) {
		struct name name = name_of(mixed(i), renamed);
		struct stat st;

		if (stat(name.text, &st))
			err(1, "stat %s", name.text);
		if (filled && (size_t)st.st_size != bytes_of(mixed(i)))
			errx(1, "%s has %lld bytes", name.text,
			     (long long)st.st_size);
	}
}

static void list(void)
{
	unsigned long found = 0;

	for (unsigned long i = 0; i < count; i += IN_DIR) {
		struct dirent *entry;
		char path[32];
		DIR *dir;

		snprintf(path, sizeof(path), "d%03lu", i / IN_DIR);
		dir = opendir(path);
		if (!dir)
			err(1, "opendir %s", path);
		while ((entry = readdir(dir)))
			found += entry->d_name[0] != '.';
		closedir(dir);
	}
	if (found != count)
		errx(1, "listed %lu of %lu", found, count);
}

static void rename_all(void)
{
	for (unsigned long i = 0; i < count; i++) {
		struct name from = name_of(i, false);
		struct name to = name_of(i, true);

		if (rename(from.text, to.text))
			err(1, "rename %s", from.text);
	}
	renamed = true;
}

static void unlink_all(void)
{
	for (unsigned long i = 0; i < count; i++) {
		struct name name = name_of(i, renamed);

		if (unlink(name.text))
			err(1, "unlink %s", name.text);
	}
	for (unsigned long i = 0; i < count; i += IN_DIR) {
		char dir[32];

		snprintf(dir, sizeof(dir), "d%03lu", i / IN_DIR);
		if (rmdir(dir))
			err(1, "rmdir %s", dir);
	}
	renamed = false;
}

static void check(void)
{
	static char buffer[MOST_BYTES + 1];

	for (unsigned long i = 0; i < count; i++) {
		struct name name = name_of(mixed(i), renamed);
		int fd = open(name.text, O_RDONLY);
		ssize_t got;

		if (fd < 0)
			err(1, "open %s", name.text);
		got = read(fd, buffer, sizeof(buffer));
		if (got != (ssize_t)bytes_of(mixed(i)) ||
		    memcmp(buffer, content_of(mixed(i)), (size_t)got) != 0)
			errx(1, "%s does not hold what was written", name.text);
		close(fd);
	}
}

static void load(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		err(1, "%s", path);
	data_bytes = fread(data, 1, sizeof(data), file);
	fclose(file);
	if (data_bytes <= MOST_BYTES)
		errx(1, "%s is too short", path);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const struct phase {
	const char *name;
	void (*run)(void);
} phases[] = {
	{"create", create},     {"fill", fill},         {"stat", stat_all},
	{"list", list},         {"rename", rename_all}, {"check", check},
	{"unlink", unlink_all},
};

static void run(const char *name)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++) {
		double start = seconds();

		if (strcmp(phases[i].name, name) != 0)
			continue;
		phases[i].run();
		printf("%s %.6f\n", name, seconds() - start);
		return;
	}
	errx(1, "there is no phase %s", name);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		errx(1, "usage: names DIR COUNT DATA PHASE...");
	count = strtoul(argv[2], NULL, 10);
	if (!count || count % 48611 == 0)
		errx(1, "not a count of files: %s", argv[2]);
	load(argv[3]);
	if (chdir(argv[1]))
		err(1, "%s", argv[1]);
	for (int i = 4; i < argc; i++)
		run(argv[i]);
	return 0;
}
