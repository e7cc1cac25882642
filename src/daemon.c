/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two sides of a start in the background.
 *
 * Until the child is ready it stays in the terminal's foreground group and
 * has the parent's death as a signal of its own: Ctrl-C, a closed terminal
 * and kill of either process all end both.
 */
#include "daemon.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SILENT 2 /* the child ended without a word: "system" */

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* For the parent's handler. */
static volatile sig_atomic_t child_pid;
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	int saved = errno;

	caught = number;
	kill((pid_t)child_pid, SIGTERM);
	errno = saved;
}

void daemon_ignore_signals(void)
{
	/* SIGXFSZ: a limit on the size of files is an error of the write. */
	static const int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM,
				      SIGXFSZ};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

int daemon_open_std(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/* Until now the signals were blocked: one that came meanwhile comes here. */
static void catch_signals(const sigset_t *unblocked)
{
	struct sigaction action = {.sa_handler = on_signal};

	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
		struct sigaction old;

		/* Under nohup or in a script's background it stays ignored. */
		if (sigaction(passed_on[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(passed_on[i], &action, NULL);
	}
	sigprocmask(SIG_SETMASK, unblocked, NULL);
}

/* The child is gone or will go; how it went is the caller's to say. */
static int wait_for_child(void)
{
	int status = 0;

	while (waitpid((pid_t)child_pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return status;
}

static void end_by_signal(int number) NORETURN;

static void end_by_signal(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}

static void parent_waits(int fd, const sigset_t *unblocked) NORETURN;

static void parent_waits(int fd, const sigset_t *unblocked)
{
	unsigned char code = EXIT_SILENT;
	ssize_t got;
	int status;

	catch_signals(unblocked);
	do
		got = read(fd, &code, 1);
	while (got < 0 && errno == EINTR);
	if (caught) {
		wait_for_child();
		end_by_signal(caught);
	}
	if (got == 1)
		_exit(code);
	status = wait_for_child();
	if (WIFSIGNALED(status))
		log_error("the daemon was killed at its start by signal %d",
			  WTERMSIG(status));
	else
		log_error("the daemon ended at its start without a word");
	_exit(EXIT_SILENT);
}

/* The child's first steps; @parent is who must be alive. */
static void child_starts(pid_t parent, const sigset_t *unblocked)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	/* It may have died before the line above. */
	if (getppid() != parent)
		_exit(EXIT_SILENT);
	/* A parent that is gone is an error of write(), not our end. */
	signal(SIGPIPE, SIG_IGN);
}

int daemon_begin(struct daemon *d, const char *name)
{
	pid_t parent = getpid(), pid;
	sigset_t blocked, old;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&blocked, passed_on[i]);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	pid = fork();
	if (pid < 0) {
		r = -errno;
		sigprocmask(SIG_SETMASK, &old, NULL);
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid > 0) {
		close(fds[1]);
		child_pid = pid;
		parent_waits(fds[0], &old);
	}
	close(fds[0]);
	child_starts(parent, &old);
	d->pipe_fd = fds[1];
	d->name = name;
	return 0;
}

static void leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (chdir("/") < 0)
		log_warning("chdir /: %s", strerror(errno));
	if (fd < 0)
		return;
	for (int std = STDIN_FILENO; std <= STDERR_FILENO; std++)
		dup2(fd, std);
	close(fd);
}

/* True if the parent has been told; it may be gone. */
static bool tell_parent(struct daemon *d, unsigned char code)
{
	ssize_t put;

	do
		put = write(d->pipe_fd, &code, 1);
	while (put < 0 && errno == EINTR);
	close(d->pipe_fd);
	d->pipe_fd = -1;
	return put == 1;
}

void daemon_ready(struct daemon *d)
{
	if (d->pipe_fd < 0)
		return;
	log_setup(d->name, LOG_TO_SYSLOG, LOG_AT_NOTICE);
	leave_terminal();
	/* In this order: a parent that dies here leaves the write to fail. */
	prctl(PR_SET_PDEATHSIG, 0);
	if (!tell_parent(d, 0))
		kill(getpid(), SIGTERM);
}

void daemon_failed(struct daemon *d, int code)
{
	if (d->pipe_fd >= 0)
		tell_parent(d, (unsigned char)code);
}
