/* exec: another program in the middle of the graph: items are its input lines, its output lines
 * are items.
 *
 * in   text or u64, each as a line; any number of stages may write here
 * out  text/line
 *
 * The command runs in the shell, once for each replica, from open() on. Its standard error is
 * ours. It must end well: another exit status than 0 fails the graph. A program that stops
 * reading (`head -1`) ends the stages that feed it.
 *
 * A program that reads and writes at the same time would deadlock with us if we only wrote and
 * then only read: so both ends are non-blocking, and while one is full the other is served. What
 * the program says between two items is passed on with the next, unless `reply` tells how many
 * lines to wait for: then the program must not buffer its output (sed -u, stdbuf -oL).
 *
 * The program has a process group of its own, so that ^C reaches pcrun alone, which lets the
 * program finish what it has got. close() ends what has not ended by itself. */
#include "sink.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#define EXEC_READ  (64 * 1024)
#define EXEC_WRITE (16 * 1024)
#define EXEC_GRACE 200 /* times 5 ms from SIGTERM to SIGKILL */

extern char **environ;

struct exec {
	const char *command;
	uint64_t reply;
	/* ours */
	bool opened;
	pid_t pid;    /* 0: not running */
	int to, from; /* our ends of its standard input and output; -1: closed */
	int both;     /* epoll: something can be done at one of them */
	enum text_show show;
	char *text; /* what it has written and we have not emitted: less than a line */
	size_t size, room;
	size_t seen;   /* up to here text holds no newline */
	uint64_t owed; /* lines that it still has to reply with */
};

static const struct pc_param exec_params[] = {
	PC_PARAM_STRING(struct exec, command, NULL, "what the shell runs"),
	PC_PARAM_U64(struct exec, reply, "0", NULL, "lines",
                     "wait for so many lines of output for each item; 0: do not wait"),
};

/* ---------------------------------------------------------------------------- starting --- */

static int spawn(struct exec *s, int its_in, int its_out)
{
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, NULL, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, back;
	char *command = strdup(s->command);
	int r;

	if (command == NULL)
		return ENOMEM;
	argv[2] = command;
	sigemptyset(&none);
	sigemptyset(&back);
	sigaddset(&back, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawn_file_actions_adddup2(&files, its_in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, its_out, STDOUT_FILENO);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &back);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                       POSIX_SPAWN_SETPGROUP);
	r = posix_spawn(&s->pid, "/bin/sh", &files, &how, argv, environ);
	if (r != 0)
		s->pid = 0;
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	free(command);
	return r;
}

static int exec_open(struct pc_stage *st, void *state)
{
	struct exec *s = state;
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	struct epoll_event to = {.events = EPOLLOUT}, from = {.events = EPOLLIN};
	int r = 0;

	s->opened = true;
	s->show = text_show_of(pc_in_type(st, 0));
	s->both = epoll_create1(EPOLL_CLOEXEC);
	if (s->both < 0 || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
	    fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(s->both, EPOLL_CTL_ADD, in[1], &to) != 0 ||
	    epoll_ctl(s->both, EPOLL_CTL_ADD, out[0], &from) != 0)
		r = errno;
	if (r == 0)
		r = spawn(s, in[0], out[1]);
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	s->to = in[1];
	s->from = out[0];
	return r == 0 ? PC_OK : pc_fail(st, "cannot run %s: %s", s->command, strerror(r));
}

/* ------------------------------------------------------------------------ reading from it --- */

static int emit_lines(struct pc_stage *st, struct exec *s, bool at_end)
{
	size_t start = 0;
	int r = PC_OK;

	while (r == PC_OK && s->seen < s->size) {
		const char *newline = memchr(s->text + s->seen, '\n', s->size - s->seen);

		s->seen = newline != NULL ? (size_t)(newline - s->text) + 1 : s->size;
		if (newline == NULL)
			break;
		r = pc_emit_copy(st, 0, s->text + start, s->seen - 1 - start);
		s->owed -= s->owed > 0;
		start = s->seen;
	}
	if (at_end && start < s->size && r == PC_OK) {
		r = pc_emit_copy(st, 0, s->text + start, s->size - start);
		start = s->size;
	}
	memmove(s->text, s->text + start, s->size - start);
	s->size -= start;
	s->seen -= start;
	return r;
}

/* Read what is there. At its end s->from is closed. */
static int take(struct pc_stage *st, struct exec *s)
{
	ssize_t n;

	if (s->room - s->size < EXEC_READ / 2) {
		size_t room = 2 * s->room > EXEC_READ ? 2 * s->room : EXEC_READ;
		char *text = realloc(s->text, room);

		if (text == NULL)
			return pc_fail(st, "no memory for a line of %zu bytes", s->size);
		s->text = text;
		s->room = room;
	}
	n = read(s->from, s->text + s->size, s->room - s->size);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN
		               ? PC_OK
		               : pc_fail(st, "cannot read from %s: %s", s->command,
		                         strerror(errno));
	s->size += (size_t)n;
	if (n == 0) {
		close(s->from);
		s->from = -1;
	}
	return emit_lines(st, s, n == 0);
}

/* It has closed its output: see how it ended. */
static int reap(struct pc_stage *st, struct exec *s)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(s->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	s->pid = 0;
	if (pid > 0 && WIFSIGNALED(status))
		return pc_fail(st, "%s was ended by signal %d (%s)", s->command,
		               WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (pid > 0 && WEXITSTATUS(status) != 0)
		return pc_fail(st, "%s ended with status %d", s->command, WEXITSTATUS(status));
	return PC_OK;
}

static void close_input(struct exec *s)
{
	if (s->to >= 0)
		close(s->to);
	s->to = -1;
}

/* Nothing more goes in. PC_AGAIN: more may come out. */
static int drain(struct pc_stage *st, struct exec *s)
{
	int r;

	close_input(s);
	if (s->from >= 0) {
		r = pc_wait_fd(st, s->from, PC_FD_READ, PC_FOREVER);
		if (r == PC_OK)
			r = take(st, s);
		if (r != PC_OK)
			return r;
	}
	if (s->from >= 0)
		return PC_AGAIN;
	return s->pid != 0 ? reap(st, s) : PC_OK;
}

/* ------------------------------------------------------------------------- writing to it --- */

/* Wait for either end, and read if there is something to read. */
static int serve(struct pc_stage *st, struct exec *s)
{
	int r = pc_wait_fd(st, s->both, PC_FD_READ, PC_FOREVER);

	return r == PC_OK && s->from >= 0 ? take(st, s) : r;
}

static int give(struct pc_stage *st, struct exec *s, const void *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(s->to, data, size);

		if (n >= 0) {
			data = (const char *)data + n;
			size -= (size_t)n;
		} else if (errno == EPIPE) {
			return PC_END;
		} else if (errno == EAGAIN) {
			int r = serve(st, s);

			if (r != PC_OK)
				return r;
		} else if (errno != EINTR) {
			return pc_fail(st, "cannot write to %s: %s", s->command,
			               strerror(errno));
		}
	}
	return PC_OK;
}

/* Gather the batch's lines and write them in few calls. Only a broken system makes that fail
 * otherwise than by a program that has stopped reading, so nobody counts what has left. */
static int give_all(struct pc_stage *st, struct exec *s, struct pc_item *const *items,
                    unsigned n)
{
	char lines[EXEC_WRITE];
	size_t used = 0;
	int r = PC_OK;

	for (unsigned i = 0; i < n && r == PC_OK; i++) {
		char number[TEXT_NUMBER_MAX];
		size_t size;
		const void *text =
			text_of(s->show, items[i]->data, items[i]->size, number, &size);
		bool is_line = s->show != TEXT_SHOW_BLOCK;

		if (size + is_line > sizeof(lines) - used) {
			r = give(st, s, lines, used);
			used = 0;
		}
		if (size + is_line <= sizeof(lines)) {
			memcpy(lines + used, text, size);
			used += size;
		} else if (r == PC_OK) {
			r = give(st, s, text, size);
		}
		if (is_line)
			lines[used++] = '\n';
	}
	return r == PC_OK ? give(st, s, lines, used) : r;
}

static int exec_process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                              unsigned n)
{
	struct exec *s = state;
	int r = give_all(st, s, items, n);

	s->owed += n * s->reply;
	while (r == PC_OK && s->from >= 0 && s->owed > 0) {
		r = pc_wait_fd(st, s->from, PC_FD_READ, PC_FOREVER);
		if (r == PC_OK)
			r = take(st, s);
	}
	if (r == PC_OK && s->from >= 0)
		r = take(st, s);
	if (r != PC_END && !(r == PC_OK && s->from < 0))
		return r;
	while ((r = drain(st, s)) == PC_AGAIN)
		continue;
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		pc_done(st);
	return PC_END;
}

static int exec_finish(struct pc_stage *st, void *state)
{
	return drain(st, state);
}

static int exec_close(struct pc_stage *st, void *state)
{
	struct exec *s = state;
	const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};

	(void)st;
	if (!s->opened)
		return PC_OK;
	close_input(s);
	if (s->from >= 0)
		close(s->from);
	if (s->both >= 0)
		close(s->both);
	if (s->pid != 0) {
		kill(-s->pid, SIGTERM);
		for (int i = 0; i < EXEC_GRACE && waitpid(s->pid, NULL, WNOHANG) == 0; i++)
			nanosleep(&step, NULL);
		/* Its children too; the group is gone if they have all ended. */
		kill(-s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	free(s->text);
	return PC_OK;
}

static const struct pc_port exec_in[] = {{"in", "*", 0, "lines for its standard input"}};
static const struct pc_port exec_out[] = {{"out", "text/line", 0, "its output"}};

PC_STAGE(.name = "exec", .doc = "pass lines through another program",
         .flags = PC_BLOCKING | PC_NO_PROBE, PC_INPUTS(exec_in), PC_OUTPUTS(exec_out),
         PC_PARAMS(exec_params), PC_STATE(struct exec), .state_version = 1, .open = exec_open,
         .process_batch = exec_process_batch, .finish = exec_finish, .close = exec_close);
