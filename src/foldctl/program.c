/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs another program, and waits for its end.
 *
 * That one cannot be run is known by a pipe that a running program does not
 * have: an exit code of 127 could be its own.
 */
#include "foldctl/program.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *program_beside(const char *name, char *path, size_t cap)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	snprintf(path, cap, "%s", name);
	if (n < 0)
		return path;
	self[n] = '\0';
	end = strrchr(self, '/');
	if (!end)
		return path;
	*end = '\0';
	if (snprintf(path, cap, "%s/%s", self, name) >= (int)cap ||
	    access(path, X_OK) < 0)
		snprintf(path, cap, "%s", name);
	return path;
}

/* sudo and cron leave the folders of administrators out. */
static void widen_path(void)
{
	const char *path = getenv("PATH");
	char wide[PATH_MAX];

	if (snprintf(wide, sizeof(wide), "%s:/usr/sbin:/sbin",
		     path && *path ? path : _PATH_STDPATH) < (int)sizeof(wide))
		setenv("PATH", wide, 1);
}

static void become(char *const argv[], bool quiet, int report)
{
	int null, r;

	signal(SIGPIPE, SIG_DFL);
	null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	widen_path();
	execvp(argv[0], argv);
	r = errno;
	if (write(report, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
		kill(pid, SIGTERM);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_run(char *const argv[], bool quiet)
{
	int report[2], why = 0, r;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(argv, quiet, report[1]);
	r = pid < 0 ? -errno : 0;
	close(report[1]);
	if (r == 0) {
		r = wait_for(pid);
		if (read(report[0], &why, sizeof(why)) == sizeof(why))
			r = -why;
	}
	close(report[0]);
	return r;
}
