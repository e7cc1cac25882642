/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child that is expected to abort. */
#include "death.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_child(void (*fn)(void *arg), void *arg, int err)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	dup2(err, STDERR_FILENO);
	/* The test framework's handler would report the child's end. */
	signal(SIGABRT, SIG_DFL);
	fn(arg);
	_exit(0);
}

static void read_all(int fd, char *text, size_t room)
{
	size_t have = 0;
	ssize_t n;

	while (have < room - 1 &&
	       (n = read(fd, text + have, room - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
}

bool dies_saying(void (*fn)(void *arg), void *arg, const char *message)
{
	char text[4096];
	int ends[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0)
		be_child(fn, arg, ends[1]);
	close(ends[1]);
	read_all(ends[0], text, sizeof(text));
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	    strstr(text, message))
		return true;
	fprintf(stderr, "child: status %#x, stderr: %s\n", (unsigned)status,
		text);
	return false;
}
