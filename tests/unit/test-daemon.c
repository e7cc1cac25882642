/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of going to the background: who ends with what, whoever is killed.
 *
 * Each test forks a "caller" that calls daemon_begin(); the daemon under test
 * is the caller's child. All of them hold one end of a pipe, so that end of
 * file says that none is left, and tell their process ids on it.
 */
#include "base/log.h"
#include "daemon.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the daemon says of itself before it becomes ready or fails, and after. */
struct word {
	pid_t pid;
	bool has_terminal_group; /* its group is the caller's */
	char cwd[64];
	bool stderr_is_null;
	int at_death; /* the signal for its parent's death */
};

struct run {
	pid_t caller;
	int words; /* read end */
};

enum plot { READY, FAILS, DIES, SILENT, WAITS };

static int words_fd;

static bool stderr_is_null(void)
{
	char path[64] = "";

	return readlink("/proc/self/fd/2", path, sizeof(path) - 1) > 0 &&
	       strcmp(path, "/dev/null") == 0;
}

static void say(pid_t caller)
{
	struct word word = {.pid = getpid(),
			    .has_terminal_group = getpgrp() == getpgid(caller),
			    .stderr_is_null = stderr_is_null()};

	if (prctl(PR_GET_PDEATHSIG, &word.at_death) < 0 ||
	    !getcwd(word.cwd, sizeof(word.cwd)) ||
	    write(words_fd, &word, sizeof(word)) != sizeof(word))
		_exit(99);
}

/* The caller's process, and behind daemon_begin() the daemon's. */
static void act(enum plot plot) NORETURN;

static void act(enum plot plot)
{
	struct daemon d;
	pid_t caller = getpid();
	sigset_t none;

	/* A group of its own, as a shell makes one for each command. */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (chdir("/tmp") < 0 || daemon_begin(&d, "test-daemon") < 0)
		_exit(98);
	say(caller);
	switch (plot) {
	case FAILS:
		daemon_failed(&d, 32);
		_exit(32);
	case DIES:
		raise(SIGKILL);
		break;
	case SILENT:
		_exit(0);
	case WAITS:
		for (;;)
			pause();
	case READY:
		break;
	}
	daemon_ready(&d);
	say(caller);
	for (;;)
		pause();
}

static struct run start(enum plot plot)
{
	struct run run;
	int fds[2], null;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	run.caller = fork();
	assert_true(run.caller >= 0);
	if (run.caller == 0) {
		close(fds[0]);
		words_fd = fds[1];
		/* What it prints is expected here, and not to be read. */
		null = open("/dev/zero", O_RDWR);
		dup2(null, STDERR_FILENO);
		act(plot);
	}
	close(fds[1]);
	run.words = fds[0];
	return run;
}

static struct word hear(const struct run *run)
{
	struct word word;

	assert_int_equal(read(run->words, &word, sizeof(word)), sizeof(word));
	return word;
}

/* Nobody holds the pipe any more: the caller and the daemon have ended. */
static void nobody_is_left(const struct run *run)
{
	char c;

	assert_int_equal(read(run->words, &c, 1), 0);
	close(run->words);
}

static int end_of(const struct run *run)
{
	int status;

	assert_int_equal(waitpid(run->caller, &status, 0), run->caller);
	return status;
}

static void the_caller_ends_with_0_once_ready(void **state UNUSED)
{
	struct run run = start(READY);
	struct word before = hear(&run), after;
	int status = end_of(&run);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(before.has_terminal_group);
	assert_string_equal(before.cwd, "/tmp");
	assert_false(before.stderr_is_null);
	after = hear(&run);
	assert_int_equal(after.pid, before.pid);
	assert_false(after.has_terminal_group);
	assert_string_equal(after.cwd, "/");
	assert_true(after.stderr_is_null);
	assert_int_equal(before.at_death, SIGTERM);
	assert_int_equal(after.at_death, 0);
	/* It does not hang on the caller's life any more. */
	assert_int_equal(kill(after.pid, 0), 0);
	assert_int_equal(kill(after.pid, SIGTERM), 0);
	nobody_is_left(&run);
}

static void a_failed_start_gives_its_code(void **state UNUSED)
{
	struct run run = start(FAILS);
	int status = end_of(&run);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 32);
	hear(&run);
	nobody_is_left(&run);
}

static void a_daemon_that_dies_or_says_nothing_is_2(void **state UNUSED)
{
	static const enum plot plots[] = {DIES, SILENT};

	for (size_t i = 0; i < ARRAY_SIZE(plots); i++) {
		struct run run = start(plots[i]);
		int status = end_of(&run);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
		hear(&run);
		nobody_is_left(&run);
	}
}

/* Signals to the caller alone, as kill(1) or a closing session sends them. */
static void a_signal_to_the_caller_ends_both(void **state UNUSED)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGKILL};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct run run = start(WAITS);
		int status;

		hear(&run);
		kill(run.caller, numbers[i]);
		status = end_of(&run);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), numbers[i]);
		nobody_is_left(&run);
	}
}

static void ctrl_c_goes_to_the_group_and_ends_both(void **state UNUSED)
{
	struct run run = start(WAITS);
	int status;

	hear(&run);
	kill(-run.caller, SIGINT);
	status = end_of(&run);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
	nobody_is_left(&run);
}

static void a_kill_of_the_daemon_is_told(void **state UNUSED)
{
	struct run run = start(WAITS);
	int status;

	kill(hear(&run).pid, SIGKILL);
	status = end_of(&run);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
	nobody_is_left(&run);
}

/* Ready, but nobody waits any more: the daemon ends itself. */
static void ready_without_a_caller_is_an_end(void **state UNUSED)
{
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct daemon d = {.pipe_fd = fds[1], .name = "test"};

		close(fds[0]);
		signal(SIGPIPE, SIG_IGN);
		signal(SIGTERM, SIG_DFL);
		daemon_ready(&d);
		pause();
		_exit(0);
	}
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void nothing_happens_in_the_foreground(void **state UNUSED)
{
	struct daemon d = {.pipe_fd = -1, .name = "test"};
	pid_t group = getpgrp();

	daemon_ready(&d);
	daemon_failed(&d, 1);
	assert_int_equal(getpgrp(), group);
}

static void the_first_descriptors_are_opened(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int probe;

		close(STDIN_FILENO);
		close(STDERR_FILENO);
		if (daemon_open_std() < 0)
			_exit(1);
		probe = open("/dev/null", O_RDONLY);
		_exit(probe > STDERR_FILENO && stderr_is_null() ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void harmless_signals_do_not_end_it(void **state UNUSED)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		daemon_ignore_signals();
		raise(SIGPIPE);
		raise(SIGUSR1);
		raise(SIGUSR2);
		raise(SIGALRM);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_caller_ends_with_0_once_ready),
		cmocka_unit_test(a_failed_start_gives_its_code),
		cmocka_unit_test(a_daemon_that_dies_or_says_nothing_is_2),
		cmocka_unit_test(a_signal_to_the_caller_ends_both),
		cmocka_unit_test(ctrl_c_goes_to_the_group_and_ends_both),
		cmocka_unit_test(a_kill_of_the_daemon_is_told),
		cmocka_unit_test(ready_without_a_caller_is_an_end),
		cmocka_unit_test(nothing_happens_in_the_foreground),
		cmocka_unit_test(the_first_descriptors_are_opened),
		cmocka_unit_test(harmless_signals_do_not_end_it),
	};

	/* In a script's background and under nohup some are ignored. */
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
