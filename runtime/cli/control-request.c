/* cli/control-request.c: what the requests of control peers do. The loop's thread.
 *
 * The words are those of the command line, options among them wherever they stand. What needs time
 * becomes a job, and the peer waits for it; the rest is answered at once, from the library's
 * snapshot calls. */
#include "cli/control.h"
#include "cli/ledger.h"
#include "cli/say.h"
#include "cli/session.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------- words --- */

/* A word in quotes, in place; NULL: no end, or something hangs on to it. */
static char *unquote(char *at, char *end)
{
	char *to = at;

	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		*to++ = *at;
	}
	if (at >= end || (at + 1 < end && !isblank((unsigned char)at[1])))
		return NULL;
	*to = '\0';
	return at + 1;
}

int control_words(char *line, size_t size, char *words[CONTROL_WORDS])
{
	char *at = line, *end = line + size;
	int n = 0;

	if (memchr(line, '\0', size))
		return -1;
	while (end > at && (end[-1] == '\r' || isblank((unsigned char)end[-1])))
		end--;
	for (;;) {
		while (at < end && isblank((unsigned char)*at))
			at++;
		if (at >= end)
			return n;
		if (n == CONTROL_WORDS)
			return -1;
		words[n++] = at;
		if (*at == '"') {
			at = unquote(at, end);
			if (!at)
				return -1;
			continue;
		}
		while (at < end && !isblank((unsigned char)*at))
			at++;
		if (at < end)
			*at++ = '\0';
		else
			*end = '\0'; /* the newline's place, or after it */
	}
}

void control_put_word(FILE *out, const char *word)
{
	if (*word && !strpbrk(word, " \t\"\\")) {
		fputs(word, out);
		return;
	}
	fputc('"', out);
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			fputc('\\', out);
		fputc(*word, out);
	}
	fputc('"', out);
}

/* ------------------------------------------------------------------------------ asking --- */

/* A request, cut up. */
struct request {
	struct peer *peer;
	struct session *session;
	const char *name;
	char *words[CONTROL_WORDS]; /* behind the name, without options */
	size_t n;
	bool json, dry_run, reset_state, retry, back;
};

static void refuse(const struct request *r, const char *text)
{
	server_answer(r->peer, r->json, r->name, CONTROL_USAGE, text, NULL);
}

__attribute__((format(printf, 2, 3))) static void refuse_with(const struct request *r,
                                                              const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	refuse(r, text);
}

/* What a peer calls /work/x/stage.c is ./stage.c here, if this is /work/x: diagnostics and the cache
 * know it by that name. */
static const char *shorten(char *file)
{
	char *cwd = getcwd(NULL, 0);
	size_t n = cwd ? strlen(cwd) : 0;

	if (n > 1 && strncmp(file, cwd, n) == 0 && file[n] == '/')
		file[--n] = '.';
	else
		n = 0;
	free(cwd);
	return file + n;
}

static int status_of(const struct job *job)
{
	switch (job->result) {
	case PC_OK:
		return CONTROL_OK;
	case PC_WRONG:
		return CONTROL_REFUSED;
	case PC_ERROR:
		return job->kind == JOB_RELOAD && !job->text ? CONTROL_USAGE : CONTROL_BACK;
	case PC_TIMEOUT:
		if (job->kind != JOB_RELOAD && job->report.to != 0)
			return CONTROL_WAITING;
		return job->with ? CONTROL_REFUSED : CONTROL_FAILED;
	case PC_INVALID:
		return CONTROL_USAGE;
	default:
		return CONTROL_FAILED;
	}
}

static void put_done(FILE *out, const struct job *job)
{
	const struct pc_swap_report *r = &job->report;
	struct event e = {.kind = EVENT_LIVE,
	                  .stage = job->stage,
	                  .from = r->from,
	                  .to = r->to,
	                  .item = r->item,
	                  .pause_median_ns = r->pause_median_ns,
	                  .pause_worst_ns = r->pause_worst_ns,
	                  .text = r->text,
	                  .time_ns = event_now_ns()};
	struct pc_stage_row row;

	if (job->kind == JOB_RELOAD) {
		fputs(job->text && *job->text ? job->text : "nothing differs", out);
		if (job->dry_run && job->text && *job->text)
			fputs("nothing was changed: a dry run\n", out);
	} else if (r->unchanged) {
		fprintf(out, "%s has the code that runs already, %s", job->file,
		        event_unchanged(r));
	} else if (job->dry_run) {
		fprintf(out, "it would be taken%s%s; nothing was changed",
		        r->text && *r->text ? " | " : "", r->text ? r->text : "");
	} else {
		e.source = jobs_stage(job->jobs->graph, job->stage, &row) && row.inputs == 0;
		event_words(&e, out);
	}
	if (r->probe && job->kind != JOB_RELOAD && !r->unchanged)
		fprintf(out, "%s%s", job->dry_run ? "\n" : "", r->probe);
}

/* A line, or some, for each stage of the set. */
static void put_set_done(FILE *out, const struct job *job)
{
	for (const struct job *m = job; m; m = m->with) {
		struct say_text text;

		if (!say_text_open(&text))
			continue;
		put_done(text.stream, m);
		if (say_text_end(&text))
			for (char *save = NULL, *line = strtok_r(text.bytes, "\n", &save); line;
			     line = strtok_r(NULL, "\n", &save))
				fprintf(out, "%s  %s\n", m->stage, line);
		free(text.bytes);
	}
}

static void put_names_json(FILE *out, const struct job *job)
{
	if (job->stage) {
		fputs(",\"stage\":", out);
		say_json(out, job->stage);
	}
	if (job->file) {
		fputs(",\"file\":", out);
		say_json(out, job->file);
	}
	if (job->dry_run)
		fputs(",\"dry_run\":true", out);
}

static void put_report_json(FILE *out, const struct job *job)
{
	const struct pc_swap_report *r = &job->report;

	fprintf(out, ",\"from\":%u,\"to\":%u,\"unchanged\":%s", r->from, r->to,
	        r->unchanged ? "true" : "false");
	if (r->refreshed)
		fputs(",\"refreshed\":true", out);
	if (job->result == PC_OK && !job->dry_run && !r->unchanged)
		fprintf(out,
		        ",\"item\":%" PRIu64 ",\"pause_median_ns\":%" PRId64
		        ",\"pause_worst_ns\":%" PRId64 ",\"took_ns\":%" PRId64,
		        r->item, r->pause_median_ns, r->pause_worst_ns, r->took_ns);
	if (r->text) {
		fputs(",\"report\":", out);
		say_json(out, r->text);
	}
	if (r->probe) {
		fputs(",\"probe\":", out);
		say_json(out, r->probe);
	}
	if (job->saved) {
		fputs(",\"saved\":", out);
		say_json(out, job->saved);
	}
}

static void put_json(FILE *out, const struct job *job)
{
	if (!job->with) {
		put_names_json(out, job);
		if (job->kind != JOB_RELOAD)
			put_report_json(out, job);
		return;
	}
	if (job->dry_run)
		fputs(",\"dry_run\":true", out);
	fputs(",\"stages\":[", out);
	for (const struct job *m = job; m; m = m->with) {
		fputs(m == job ? "{\"stage\":" : ",{\"stage\":", out);
		say_json(out, m->stage);
		if (m->file) {
			fputs(",\"file\":", out);
			say_json(out, m->file);
		}
		put_report_json(out, m);
		fputc('}', out);
	}
	fputc(']', out);
}

static void on_done(void *user, const struct job *job)
{
	struct peer *peer = user;
	const char *name = job->kind == JOB_RELOAD ? "reload" : "swap";
	struct say_text text, json;

	if (!say_text_open(&text))
		return;
	if (!say_text_open(&json)) {
		say_text_end(&text);
		free(text.bytes);
		return;
	}
	if (job->result == PC_OK && job->with)
		put_set_done(text.stream, job);
	else if (job->result == PC_OK)
		put_done(text.stream, job);
	else
		fputs(jobs_reason(job) ? jobs_reason(job)
		                       : "the graph has ended before it was begun",
		      text.stream);
	put_json(json.stream, job);
	if (say_text_end(&text) && say_text_end(&json))
		server_answer(peer, peer->job_json, name, status_of(job), text.bytes,
		              json.bytes);
	free(text.bytes);
	free(json.bytes);
}

/* job: NULL when there was no memory for it. */
static void ask_job(const struct request *r, struct job *job)
{
	if (!job) {
		server_answer(r->peer, r->json, r->name, CONTROL_FAILED, "out of memory", NULL);
		return;
	}
	for (struct job *m = job; m; m = m->with) {
		m->dry_run = r->dry_run;
		m->quiet = true; /* the peer is told */
	}
	job->reset_state = r->reset_state;
	job->retry = r->retry;
	job->done = on_done;
	job->user = r->peer;
	r->peer->job = job;
	r->peer->job_json = r->json;
	jobs_add(job);
}

/* Of a request whose words are right: stages, each with its file, or without files. */
static struct job *swap_job(const struct request *r)
{
	enum job_kind kind = r->back ? JOB_BACK : JOB_SWAP;
	struct job *job = NULL;

	for (size_t i = 0; i < r->n; i += r->back ? 1 : 2) {
		const char *file = r->back ? NULL : shorten(r->words[i + 1]);

		if (i == 0)
			job = jobs_new(&r->session->jobs, kind, r->words[i], file);
		else if (!jobs_with(job, r->words[i], file))
			goto nomem;
		if (!job)
			return NULL;
	}
	return job;
nomem:
	jobs_drop(job);
	return NULL;
}

/* False: answered. */
static bool is_stage(const struct request *r, const char *name)
{
	struct pc_graph *graph = r->session->graph;
	struct words near = {.wanted = name};
	struct pc_stage_row row;

	if (jobs_stage(graph, name, &row))
		return true;
	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		words_offer(&near, row.name);
	refuse_with(r, "there is no stage '%.128s'%s%.128s%s", name,
	            near.best ? "; did you mean '" : " (status lists them)",
	            near.best ? near.best : "", near.best ? "'?" : "");
	return false;
}

static void swap(const struct request *r)
{
	size_t step = r->back ? 1 : 2;

	if (r->n == 0 || r->n % step != 0) {
		refuse(r, r->back ? "a stage is wanted: swap STAGE --back"
		                  : "a file for each stage is wanted: swap STAGE FILE");
		return;
	}
	if (r->back && (r->dry_run || r->reset_state || r->retry)) {
		refuse(r, "--back goes with no other option");
		return;
	}
	for (size_t i = 0; i < r->n; i += step) {
		if (!is_stage(r, r->words[i]))
			return;
		for (size_t k = 0; k < i; k += step) {
			if (strcmp(r->words[k], r->words[i]) != 0)
				continue;
			refuse_with(r, "stage '%.128s' is in the set twice", r->words[i]);
			return;
		}
	}
	ask_job(r, swap_job(r));
}

static void reload(const struct request *r)
{
	if (r->n > 1)
		refuse(r, "one file is wanted, or none: reload [FILE]");
	else
		ask_job(r, jobs_new(&r->session->jobs, JOB_RELOAD, NULL,
		                    r->n == 1 ? shorten(r->words[0]) : NULL));
}

/* ----------------------------------------------------------------------------- looking --- */

static void put_status_json(struct pc_graph *graph, FILE *out)
{
	const char *file = pc_graph_file(graph, 0);

	fputs(",\"graph\":", out);
	say_json(out, file);
	fprintf(out, ",\"pid\":%d", (int)getpid());
	ledger_json_rows(graph, out);
}

static void status(const struct request *r)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	if (r->json)
		put_status_json(r->session->graph, text.stream);
	else
		ledger_status(r->session->graph, text.stream);
	if (say_text_end(&text))
		server_answer(r->peer, r->json, r->name, CONTROL_OK, r->json ? "" : text.bytes,
		              r->json ? text.bytes : NULL);
	free(text.bytes);
}

static void explain(const struct request *r)
{
	char *text = pc_graph_explain(r->session->graph);

	server_answer(r->peer, r->json, r->name, text ? CONTROL_OK : CONTROL_FAILED,
	              text ? text : "out of memory", NULL);
	free(text);
}

static void stop(const struct request *r)
{
	bool now = r->n == 1 && strcmp(r->words[0], "now") == 0;

	if (r->n > 1 || (r->n == 1 && !now)) {
		refuse(r, "stop, or stop now");
		return;
	}
	session_stop(r->session, SIGTERM);
	if (now)
		session_stop(r->session, SIGTERM);
	server_answer(r->peer, r->json, r->name, CONTROL_OK, "the graph is told to end", NULL);
}

static void events(const struct request *r)
{
	r->peer->events = true;
	r->peer->events_json = r->json;
	server_answer(r->peer, r->json, r->name, CONTROL_OK, "", NULL);
}

static void help(const struct request *r);

static const struct {
	const char *name;
	void (*run)(const struct request *r);
	size_t most; /* words */
	bool swap;   /* takes its options */
	const char *usage;
} requests[] = {
	{"swap", swap, CONTROL_WORDS, true,
         "swap STAGE FILE [STAGE FILE ...] [--dry-run] [--reset-state] [--retry]\n"
         "swap STAGE [STAGE ...] --back"},
	{"reload", reload, 1, true, "reload [FILE] [--dry-run]"},
	{"status", status, 0, false, "status"},
	{"explain", explain, 0, false, "explain"},
	{"events", events, 0, false, "events"},
	{"stop", stop, 1, false, "stop [now]"},
	{"help", help, 0, false, "help"},
};
enum { N_REQUESTS = sizeof(requests) / sizeof(requests[0]) };

static void help(const struct request *r)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	for (size_t i = 0; i < N_REQUESTS; i++)
		fprintf(text.stream, "%s\n", requests[i].usage);
	fputs("--json with any of them: answers, or events, as JSON\n", text.stream);
	if (say_text_end(&text))
		server_answer(r->peer, r->json, r->name, CONTROL_OK, text.bytes, NULL);
	free(text.bytes);
}

/* False: there is no such option. */
static bool take_option(struct request *r, const char *word)
{
	if (strcmp(word, "--json") == 0)
		r->json = true;
	else if (strcmp(word, "--dry-run") == 0)
		r->dry_run = true;
	else if (strcmp(word, "--reset-state") == 0)
		r->reset_state = true;
	else if (strcmp(word, "--retry") == 0)
		r->retry = true;
	else if (strcmp(word, "--back") == 0)
		r->back = true;
	else
		return false;
	return true;
}

static void run(struct request *r)
{
	struct words near = {.wanted = r->name};

	for (size_t i = 0; i < N_REQUESTS; i++) {
		if (strcmp(requests[i].name, r->name) != 0) {
			words_offer(&near, requests[i].name);
			continue;
		}
		if (r->n > requests[i].most)
			refuse_with(r, "'%.128s' is too much", r->words[requests[i].most]);
		else if (!requests[i].swap &&
		         (r->dry_run || r->reset_state || r->retry || r->back))
			refuse_with(r, "%s takes no option but --json", r->name);
		else
			requests[i].run(r);
		return;
	}
	refuse_with(r, "there is no request '%.128s'%s%s%s", r->name,
	            near.best ? "; did you mean '" : " (help lists them)",
	            near.best ? near.best : "", near.best ? "'?" : "");
}

void control_request(struct peer *peer, char *line, size_t size)
{
	struct request r = {.peer = peer, .session = peer->server->session, .name = ""};
	char *words[CONTROL_WORDS];
	int n = control_words(line, size, words);
	bool files = false;
	const char *wrong = NULL;

	if (n == 0)
		return; /* an empty line */
	for (int i = 0; i < n; i++) {
		if (!files && strcmp(words[i], "--") == 0)
			files = true;
		else if (i > 0 && !files && words[i][0] == '-' && words[i][1] != '\0')
			wrong = take_option(&r, words[i]) ? wrong : words[i];
		else if (i == 0)
			r.name = words[i];
		else
			r.words[r.n++] = words[i];
	}
	if (n < 0)
		refuse(&r, "this is no request: a line of words is wanted (help lists them)");
	else if (wrong)
		refuse_with(&r, "there is no option %.128s", wrong);
	else
		run(&r);
}
