/* cli/control-client.c: the words that ask something of a graph that runs: swap, reload, status, events,
 * stop, ps. Main thread; waits for the answer as long as it takes.
 *
 * Speaks the protocol as any other program would (pcrun-control(7)). Files are sent with their
 * whole path, since the running pcrun has a working directory of its own. */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/say.h"
#include "cli/table.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	GREETING_MS = 2000,
	BEFORE_FILES = 6 /* words of a request: its name, options and "--" */
};

/* A running graph. */
struct graph {
	struct graph *next;
	int fd;
	char path[PATH_MAX + 256];
	char greeting[CONTROL_LINE];
	const char *pid, *name, *file; /* in the greeting */
	FILE *in;
};

struct graphs {
	struct graph *first;
	size_t n;
	int error; /* there may be more, but they could not be looked for */
};

/* ---------------------------------------------------------------------- finding graphs --- */

/* A process that is stopped says nothing. */
static bool read_greeting(struct graph *g)
{
	struct pollfd poll_fd = {.fd = g->fd, .events = POLLIN};
	char *words[CONTROL_WORDS];
	size_t size = 0;

	while (size == 0 || g->greeting[size - 1] != '\n') {
		if (size == sizeof(g->greeting) || poll(&poll_fd, 1, GREETING_MS) <= 0 ||
		    read(g->fd, g->greeting + size, 1) != 1)
			return false;
		size++;
	}
	if (control_words(g->greeting, size - 1, words) < 7 || strcmp(words[0], "pcrun") != 0 ||
	    strcmp(words[2], "control") != 0) {
		g->greeting[size - 1] = '\0';
		return false;
	}
	if (atoi(words[3]) != CONTROL_PROTOCOL) {
		say("process %s speaks another protocol (pcrun %s): it is left out", words[4],
		    words[1]);
		return false;
	}
	g->pid = words[4];
	g->name = words[5];
	g->file = words[6];
	return true;
}

static void add_graph(void *user, int fd, const char *path)
{
	struct graphs *graphs = user;
	struct graph *g = calloc(1, sizeof(*g)), **at = &graphs->first;

	if (!g) {
		close(fd);
		return;
	}
	g->fd = fd;
	snprintf(g->path, sizeof(g->path), "%s", path);
	if (!read_greeting(g)) {
		if (!g->pid)
			say("%s does not answer: it is left out", path);
		close(fd);
		free(g);
		return;
	}
	while (*at && atol((*at)->pid) < atol(g->pid))
		at = &(*at)->next;
	g->next = *at;
	*at = g;
	graphs->n++;
}

static void free_graph(struct graph *g)
{
	if (g->in)
		fclose(g->in);
	else
		close(g->fd);
	free(g);
}

static void free_graphs(struct graphs *graphs)
{
	while (graphs->first) {
		struct graph *g = graphs->first;

		graphs->first = g->next;
		free_graph(g);
	}
}

static bool is_meant(const struct graph *g, const char *wanted)
{
	char name[128];

	control_graph_name(wanted, name, sizeof(name));
	return strcmp(wanted, g->pid) == 0 || strcmp(wanted, g->name) == 0 ||
	       strcmp(wanted, g->file) == 0 || strcmp(name, g->name) == 0;
}

static void say_several(const struct graphs *graphs, const char *wanted)
{
	struct table t = {.columns = 3, .right = {true}};
	struct say_text text;

	if (!say_text_open(&text))
		return;
	fprintf(text.stream, "pcrun: several graphs%s%s run; --graph=PID says which:\n",
	        wanted ? " by the name " : "", wanted ? wanted : "");
	for (const struct graph *g = graphs->first; g; g = g->next) {
		if (wanted && !is_meant(g, wanted))
			continue;
		table_add(&t, "%s", g->pid);
		table_add(&t, "%s", g->name);
		table_add(&t, "%s", g->file);
	}
	table_print(&t, text.stream, "  ");
	table_fini(&t);
	say_text_close(&text);
}

static void say_none(const struct graphs *graphs)
{
	if (graphs->error)
		say("can't look for the graphs that run: %s", strerror(graphs->error));
	else
		say("no graph of yours is running");
}

/* The graph that is meant, taken out of the list; NULL: said. */
static struct graph *choose(struct graphs *graphs, const char *wanted)
{
	struct words near = {.wanted = wanted};
	struct graph **found = NULL, *g;
	size_t n = 0;

	for (struct graph **at = &graphs->first; *at; at = &(*at)->next) {
		if (wanted && !is_meant(*at, wanted)) {
			words_offer(&near, (*at)->name);
			continue;
		}
		found = at;
		n++;
	}
	if (n > 1)
		say_several(graphs, wanted);
	else if (n == 0 && graphs->n == 0)
		say_none(graphs);
	else if (n == 0 && near.best)
		say("no graph '%s' is running; did you mean '%s'?", wanted, near.best);
	else if (n == 0)
		say("no graph '%s' is running (pcrun ps lists them)", wanted);
	if (n != 1)
		return NULL;
	g = *found;
	*found = g->next;
	return g;
}

static struct graph *find_graph(const char *wanted)
{
	struct graphs graphs = {0};
	struct graph *g;

	graphs.error = control_each(add_graph, &graphs);
	g = choose(&graphs, wanted);
	free_graphs(&graphs);
	if (!g)
		return NULL;
	g->in = fdopen(g->fd, "r");
	if (g->in)
		return g;
	say("out of memory");
	free_graph(g);
	return NULL;
}

/* ------------------------------------------------------------------------------ asking --- */

static bool send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* Relative names are ours, not the other's. */
static void put_file(FILE *out, const char *file)
{
	char *cwd = *file == '/' ? NULL : getcwd(NULL, 0), *whole = NULL;

	while (cwd && strncmp(file, "./", 2) == 0)
		file += 2 + strspn(file + 2, "/");
	if (cwd && asprintf(&whole, "%s/%s", cwd, file) < 0)
		whole = NULL;
	control_put_word(out, whole ? whole : file);
	free(whole);
	free(cwd);
}

/* "- " lines of an answer: to standard output when all is well. */
static int print_answer(char *text, int status)
{
	if (status == CONTROL_OK) {
		fputs(text, stdout);
	} else {
		struct say_text whole;

		if (!say_text_open(&whole))
			return status;
		if (say_is_diagnostic(text))
			say_lines_to(whole.stream, text);
		else
			fprintf(whole.stream, "pcrun: %s", text);
		say_text_close(&whole);
	}
	return status;
}

/* Until the answer is whole. */
static int read_answer(struct graph *g, bool json)
{
	struct say_text text;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int status = -1;

	if (!say_text_open(&text))
		return CONTROL_FAILED;
	while (status < 0 && (n = getline(&line, &room, g->in)) > 0) {
		if (line[0] == '-' && n > 2)
			fputs(line + 2, text.stream);
		else if (line[0] == '=' && n > 2)
			status = atoi(line + 2);
		else if (json && sscanf(line, "{\"status\":%d,", &status) == 1)
			fputs(line, stdout);
	}
	free(line);
	if (say_text_end(&text)) {
		if (status < 0)
			say("the graph has ended, and has not answered");
		else if (text.size > 0)
			print_answer(text.bytes, status);
	}
	free(text.bytes);
	return status < 0 ? CONTROL_FAILED : status;
}

/* False: said. */
static bool ask(struct graph *g, struct say_text *request)
{
	bool sent = false;

	fputc('\n', request->stream);
	if (say_text_end(request)) {
		char *end = request->bytes + request->size - 1;

		if (request->size > CONTROL_LINE ||
		    memchr(request->bytes, '\n', request->size - 1))
			say("that is too long, or holds a newline: it can't be asked");
		else if (!(sent = send_all(g->fd, request->bytes,
		                           (size_t)(end + 1 - request->bytes))))
			say("the graph has ended");
	}
	free(request->bytes);
	return sent;
}

static bool begin(struct say_text *request, const struct args *args, const char *word)
{
	if (!say_text_open(request))
		return false;
	fprintf(request->stream, "%s%s%s%s%s%s --", word, args->json ? " --json" : "",
	        args->dry_run ? " --dry-run" : "", args->reset_state ? " --reset-state" : "",
	        args->retry ? " --retry" : "", args->back ? " --back" : "");
	return true;
}

/* Which of a request's words are files. */
enum words_are { FILES, NAMES, NAME_FILE /* by turns */ };

static int ask_word(const struct args *args, const char *word, enum words_are are)
{
	struct graph *g = find_graph(args->graph);
	struct say_text request;
	int status = CONTROL_USAGE;

	if (!g)
		return CONTROL_USAGE;
	if (begin(&request, args, word)) {
		for (size_t i = 0; i < args->n_files; i++) {
			fputc(' ', request.stream);
			if (are == NAMES || (are == NAME_FILE && i % 2 == 0))
				control_put_word(request.stream, args->files[i]);
			else
				put_file(request.stream, args->files[i]);
		}
		if (ask(g, &request))
			status = read_answer(g, args->json);
	}
	free_graph(g);
	return status;
}

int swap_command(const struct args *args)
{
	for (size_t i = 1; args->back && i < args->n_files; i++)
		if (strpbrk(args->files[i], "./")) {
			say("--back goes without a file: the build before this one is meant");
			return STATUS_USAGE;
		}
	if (args->back && (args->dry_run || args->reset_state || args->retry)) {
		say("--back goes with no other option of swap");
		return STATUS_USAGE;
	}
	if (!args->back && args->n_files % 2 != 0) {
		say("the file is missing behind '%s'; usage: pcrun %s",
		    args->files[args->n_files - 1], args->command->usage);
		return STATUS_USAGE;
	}
	if (args->n_files > CONTROL_WORDS - BEFORE_FILES) {
		say("these are too many stages for one request: at most %d words",
		    CONTROL_WORDS - BEFORE_FILES);
		return STATUS_USAGE;
	}
	return ask_word(args, "swap", args->back ? NAMES : NAME_FILE);
}

int reload_command(const struct args *args)
{
	return ask_word(args, "reload", FILES);
}

int stop_command(const struct args *args)
{
	return ask_word(args, "stop", FILES);
}

int status_command(const struct args *args)
{
	int status = ask_word(args, "status", FILES);

	if (status != CONTROL_OK || !args->verbose)
		return status;
	putchar('\n');
	return ask_word(args, "explain", FILES);
}

/* Until there is one. False: nobody reads what we print any more, which is seen at once. */
static bool wait_for_line(struct graph *g)
{
	struct pollfd fds[2] = {{.fd = g->fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		continue;
	return !(fds[1].revents & (POLLERR | POLLHUP));
}

/* Lines as they come. */
int events_command(const struct args *args)
{
	struct graph *g = find_graph(args->graph);
	struct say_text request;
	char *line = NULL;
	size_t room = 0;
	int status = CONTROL_USAGE;

	if (!g)
		return CONTROL_USAGE;
	setvbuf(g->in, NULL, _IONBF, 0); /* so that poll() knows of every line; there are few */
	if (begin(&request, args, "events") && ask(g, &request)) {
		while (wait_for_line(g) && getline(&line, &room, g->in) > 0) {
			if (strncmp(line, "{\"event\":", 9) == 0)
				fputs(line, stdout);
			else if (line[0] == '!')
				fputs(line + 2, stdout);
			if (fflush(stdout) != 0)
				break;
		}
		status = CONTROL_OK;
	}
	free(line);
	free_graph(g);
	return status;
}

int ps_command(const struct args *args)
{
	struct table t = {.columns = 3, .right = {true}};
	struct graphs graphs = {0};

	graphs.error = control_each(add_graph, &graphs);
	table_add(&t, "pid");
	table_add(&t, "name");
	table_add(&t, "graph");
	for (const struct graph *g = graphs.first; g; g = g->next) {
		table_add(&t, "%s", g->pid);
		table_add(&t, "%s", g->name);
		table_add(&t, "%s", g->file);
		if (!args->json)
			continue;
		printf("{\"pid\":%s,\"name\":", g->pid);
		say_json(stdout, g->name);
		fputs(",\"graph\":", stdout);
		say_json(stdout, g->file);
		fputs(",\"socket\":", stdout);
		say_json(stdout, g->path);
		fputs("}\n", stdout);
	}
	if (!args->json && graphs.n > 0)
		table_print(&t, stdout, "");
	if (graphs.error || (graphs.n == 0 && !args->json))
		say_none(&graphs);
	table_fini(&t);
	free_graphs(&graphs);
	return graphs.error ? STATUS_FAILED : STATUS_OK;
}
