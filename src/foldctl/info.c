/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl collect-info: one text with what a bug report needs.
 *
 * What failed to be found out stands in the text too: a daemon that hangs is
 * what many reports are about. No data, no names of files; mount points and
 * options are shown, and the text is for reading before it is sent.
 */
#include "foldctl/keys.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_LINES 200
#define LOG_COMMAND                                                              \
	"journalctl -q --no-pager -o short-iso -n 200 SYSLOG_IDENTIFIER=foldfs " \
	"SYSLOG_IDENTIFIER=mount.foldfs 2>/dev/null"
static const char *const log_files[] = {
	"/var/log/syslog", "/var/log/daemon.log", "/var/log/messages"};

static void title(FILE *out, const char *what)
{
	fprintf(out, "\n== %s\n", what);
}

/* Lines of a file that begin with one of the words, NULL: all. */
static void copy_lines(FILE *out, const char *path, const char *const *words)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (!in) {
		fprintf(out, "%s: %s\n", path, strerror(errno));
		return;
	}
	while (getline(&line, &cap, in) > 0) {
		bool wanted = !words;

		for (unsigned i = 0; words && words[i]; i++)
			wanted |=
				strncmp(line, words[i], strlen(words[i])) == 0;
		if (wanted)
			fputs(line, out);
	}
	free(line);
	fclose(in);
}

static void add_machine(FILE *out)
{
	static const char *const os[] = {"PRETTY_NAME=", NULL};
	static const char *const memory[] = {
		"MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:", NULL};
	struct utsname u;

	title(out, "versions");
	fprintf(out, "foldctl %s\n", FOLDFS_VERSION);
	if (uname(&u) == 0)
		fprintf(out, "%s %s %s %s\n", u.sysname, u.release, u.version,
			u.machine);
	copy_lines(out, "/etc/os-release", os);
	title(out, "machine");
	fprintf(out, "processors %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	copy_lines(out, "/proc/meminfo", memory);
}

static void add_connection(FILE *out, const struct mount *mount)
{
	static const char *const names[] = {"waiting", "max_background",
					    "congestion_threshold"};
	char path[128];

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u", mount->id);
	if (access(path, X_OK) < 0)
		return; /* fusectl is not mounted */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/%s",
			 mount->id, names[i]);
		fprintf(out, "%s: ", names[i]);
		copy_lines(out, path, NULL);
	}
}

/* What every thread waits for, most of all in a daemon that hangs. */
static void add_threads(FILE *out, pid_t pid)
{
	char path[64], file[400];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (*entry->d_name == '.')
			continue;
		fprintf(out, "thread %s: ", entry->d_name);
		snprintf(file, sizeof(file), "%s/%s/wchan", path,
			 entry->d_name);
		copy_lines(out, file, NULL);
		fputs(" in ", out);
		snprintf(file, sizeof(file), "%s/%s/comm", path, entry->d_name);
		copy_lines(out, file, NULL);
	}
	closedir(dir);
}

static void add_process(FILE *out, pid_t pid)
{
	static const char *const status[] = {
		"State:",   "VmPeak:",     "VmLck:",  "VmRSS:",
		"RssAnon:", "RssShmem:",   "VmSwap:", "Threads:",
		"CapEff:",  "NoNewPrivs:", NULL};
	char path[64];

	if (pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	copy_lines(out, path, status);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fputs("oom_score_adj: ", out);
	copy_lines(out, path, NULL);
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	copy_lines(out, path, NULL);
	add_threads(out, pid);
}

static void add_keys(FILE *out, struct client *client)
{
	json_t *answer;
	int r = client_ask(client, "stat", &answer);

	if (r < 0) {
		fprintf(out, "keys: %s\n",
			r == -EREMOTEIO ? client->error : strerror(-r));
		return;
	}
	json_dumpf(answer, out, JSON_INDENT(3));
	fputc('\n', out);
	json_decref(answer);
}

static void add_mount(FILE *out, struct context *ctx, const struct mount *mount)
{
	struct client client;
	int r;

	title(out, mount->point);
	fprintf(out, "id %u, source %s, owner %u%s\noptions %s\n", mount->id,
		mount->source, mount->owner, mount->again ? ", bound" : "",
		mount->options);
	if (mount->again)
		return;
	progress("asking the daemon of %s", mount->point);
	add_connection(out, mount);
	r = client_open(&client, mount, ctx->timeout_ms);
	if (r < 0) {
		fprintf(out, "control socket: %s\n", strerror(-r));
		return;
	}
	add_process(out, client_peer(&client));
	add_keys(out, &client);
	client_close(&client);
}

/* The last lines of the daemons in a log file that has others' too. */
static bool add_log_file(FILE *out, const char *path)
{
	char *ring[LOG_LINES] = {0};
	FILE *in = fopen(path, "re");
	size_t cap = 0, n = 0;
	char *line = NULL;

	if (!in)
		return false;
	while (getline(&line, &cap, in) > 0)
		if (strstr(line, " foldfs[") || strstr(line, " foldfs:")) {
			free(ring[n % LOG_LINES]);
			ring[n++ % LOG_LINES] = strdup(line);
		}
	for (size_t i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
		if (ring[i % LOG_LINES])
			fputs(ring[i % LOG_LINES], out);
	for (size_t i = 0; i < LOG_LINES; i++)
		free(ring[i]);
	free(line);
	fclose(in);
	return n > 0;
}

static bool add_journal(FILE *out)
{
	FILE *in = popen(LOG_COMMAND, "re");
	char buf[4096];
	bool any = false;
	size_t n;

	if (!in)
		return false;
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0) {
		fwrite(buf, 1, n, out);
		any = true;
	}
	pclose(in);
	return any;
}

static void add_log(FILE *out)
{
	bool any;

	title(out, "log");
	progress("reading the log");
	any = add_journal(out);
	for (size_t i = 0; i < ARRAY_SIZE(log_files) && !any; i++)
		any = add_log_file(out, log_files[i]);
	if (!any)
		fputs("none that can be read\n", out);
}

static void collect(FILE *out, struct context *ctx, const struct mount *only)
{
	fputs("foldfs bug report. Read it before you send it: it has mount\n"
	      "points and options, but no data and no names of files.\n",
	      out);
	add_machine(out);
	for (unsigned i = 0; i < ctx->mounts.n; i++)
		if (!only || only == &ctx->mounts.list[i])
			add_mount(out, ctx, &ctx->mounts.list[i]);
	if (ctx->mounts.n == 0)
		fputs("\nno mount\n", out);
	add_log(out);
	progress_end();
}

/* The whole text at once, and never over a file that is there. */
static int write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t done = 0;
	int error = 0;

	if (fd < 0) {
		say("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	while (done < n && error == 0) {
		ssize_t k = write(fd, text + done, n - done);

		if (k < 0 && errno != EINTR)
			error = errno;
		else if (k > 0)
			done += (size_t)k;
	}
	if (close(fd) < 0 && error == 0)
		error = errno;
	if (error == 0)
		return EXIT_DONE;
	unlink(path);
	say("%s: %s", path, strerror(error));
	return EXIT_FAILED;
}

static int run(struct context *ctx, const struct mount *only, const char *path)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int code = EXIT_DONE;

	if (!out)
		die("%s", strerror(ENOMEM));
	collect(out, ctx, only);
	if (fclose(out) != 0)
		die("%s", strerror(ENOMEM));
	if (path)
		code = write_file(path, text, n);
	else
		fwrite(text, 1, n, stdout);
	free(text);
	return code;
}

/* A mount's own path, id or source; anything else names a file. */
static const struct mount *exactly(struct context *ctx, const char *word)
{
	unsigned n;
	const struct mount *found = mounts_of_name(&ctx->mounts, word, &n);

	for (unsigned i = 0; i < ctx->mounts.n && !found; i++)
		if (strcmp(ctx->mounts.list[i].point, word) == 0)
			found = &ctx->mounts.list[i];
	return found;
}

int verb_info(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {NULL, NULL};
	const struct mount *only = NULL;
	int code = context_getopt(ctx, argc, argv, &help, NULL, NULL);

	if (code != CONTEXT_GO_ON)
		return code;
	code = context_mounts(ctx);
	if (code != EXIT_DONE)
		return code;
	if (argc - optind > 2)
		return context_usage(ctx,
				     "%s: collect-info takes a mount and "
				     "a file",
				     argv[optind + 2]);
	if (argc - optind == 2) {
		code = context_mount(ctx, argv[optind++], &only);
		if (code != EXIT_DONE)
			return code;
	} else if (optind < argc) {
		only = exactly(ctx, argv[optind]);
		optind += only != NULL;
	}
	return run(ctx, only, argv[optind]);
}
