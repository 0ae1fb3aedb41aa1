/* engine/guard.c: see guard.h. Called on every thread that calls a stage.
 *
 * The pointer to the innermost guard is read in signal handlers, so it is of a kind that needs no
 * memory at its first use (initial-exec; one word).
 */
#include "engine/engine.h"

#include "base/error.h"
#include "base/symbol.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Thread_local struct guard *current __attribute__((tls_model("initial-exec")));

void guard_begin(struct guard *g, struct replica *r, const struct build *b,
                 const char *callback)
{
	g->outer = current;
	g->replica = r;
	g->build = b;
	g->callback = callback;
	g->input = NULL;
	g->kept = NULL;
	g->open = false;
	g->why = NULL;
	current = g;
}

void guard_end(struct guard *g)
{
	current = g->outer;
}

const struct guard *guard_current(void)
{
	return current;
}

int guard_failed(struct guard *g)
{
	struct replica *r = g->replica;

	free(r->fail_text);
	r->fail_text = g->why;
	g->why = NULL;
	state_leave(r); /* it had no time to; that is not the reason */
	return PC_ERROR;
}

/* ------------------------------------------------------------------------- single calls --- */

int guard_call(struct replica *r, const struct build *b, const char *callback,
               int (*call)(struct pc_stage *, void *), void *state)
{
	struct guard guard;
	int rc;

	guard_begin(&guard, r, b, callback);
	if (GUARD_LEFT(&guard)) {
		rc = guard_failed(&guard);
	} else {
		guard.open = true;
		rc = call(&r->pub, state);
		guard.open = false;
	}
	guard_end(&guard);
	return rc;
}

int guard_closed(struct replica *r, unsigned port)
{
	struct guard guard;
	int rc;

	guard_begin(&guard, r, r->build, "closed");
	if (GUARD_LEFT(&guard)) {
		rc = guard_failed(&guard);
	} else {
		guard.open = true;
		rc = r->build->desc->closed(&r->pub, r->state, port);
		guard.open = false;
	}
	guard_end(&guard);
	return rc;
}

int guard_migrate(struct replica *r, const struct build *from, const struct build *to,
                  void *new_state)
{
	struct guard guard;
	int rc;

	guard_begin(&guard, r, to, "migrate");
	if (GUARD_LEFT(&guard)) {
		rc = guard_failed(&guard);
	} else {
		guard.open = true;
		rc = to->desc->migrate(&r->pub, from->desc->state_version, r->state,
		                       from->desc->state_size, new_state);
		guard.open = false;
	}
	guard_end(&guard);
	return rc;
}

/* Another thread may be in the replica's code, and owns its fail_text. */
static void stop_failed(struct replica *r, struct guard *g)
{
	struct pc_error *error = NULL;

	error_set(&error, PC_ERROR, "%s", g->why ? g->why : "it gave no reason");
	error_add(&error, "stage '%s' failed at stopping (%s:%u)", r->stage->plan->name,
	          r->stage->plan->file, r->stage->plan->line);
	free(g->why);
	g->why = NULL;
	engine_fail(r->engine, PC_ERROR, error);
}

void guard_stop(struct replica *r, const struct build *b, void *state)
{
	struct guard guard;

	if (!b->desc->stop)
		return;
	guard_begin(&guard, r, b, "stop");
	if (GUARD_LEFT(&guard)) {
		stop_failed(r, &guard);
	} else {
		guard.open = true;
		b->desc->stop(&r->pub, state);
		guard.open = false;
	}
	guard_end(&guard);
}

/* --------------------------------------------------------------------------- the way out --- */

/* Some function of the build's, to tell its image from others. */
static const void *some_code(const struct pc_stage_desc *desc)
{
	const void *code = NULL;

	if (desc->process)
		memcpy(&code, &desc->process, sizeof(code));
	else if (desc->process_batch)
		memcpy(&code, &desc->process_batch, sizeof(code));
	else
		memcpy(&code, &desc->produce, sizeof(code));
	return code;
}

static const void *base_of(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* The call may have come through a library (std::terminate, say): who of the stage made it? */
static const void *caller_in_stage(const struct guard *g, const void *caller)
{
	const void *image = base_of(some_code(g->build->desc));
	void *frames[64];
	int n;

	if (!image || base_of(caller) == image)
		return caller;
	n = backtrace(frames, (int)PC_COUNT(frames));
	for (int i = 0; i < n; i++)
		if (base_of(frames[i]) == image)
			return frames[i];
	return caller;
}

/* Its line can be found while the build is loaded, and later where the user has built it: a private
 * copy goes with the process. Of what pcrun compiles it alone has a file. */
static void note_place(const struct guard *g, const struct symbol *at, const char *words,
                       bool is_stage)
{
	const struct loader_plugin *p = is_stage ? g->build->plugin : NULL;
	const char *object = p ? p->loaded : at->file;
	size_t n = p ? strlen(p->file) : 0;
	bool compiled = n > 2 && strcmp(p->file + n - 2, ".c") == 0;

	died_note(&g->replica->engine->died, words, object, p && !compiled ? p->file : object,
	          at->offset);
}

static void add_caller(struct buf *out, const struct guard *g, const void *caller)
{
	char words[sizeof(((struct symbol *)0)->file) + 24];
	struct symbol at;

	if (!caller)
		return;
	caller = caller_in_stage(g, caller);
	/* A return address is behind the call; the call may have been the function's last. */
	if (!symbol_find(&at, (const char *)caller - 1))
		return;
	if (*at.name)
		buf_addf(out, "%s, ", at.name);
	snprintf(words, sizeof(words), "%s+0x%llx", symbol_file_name(&at),
	         (unsigned long long)at.offset);
	buf_addf(out, "%s, ", words);
	note_place(g, &at, words, base_of(caller) == base_of(some_code(g->build->desc)));
}

PC_API bool pc_stage_died(const char *what, const char *file, unsigned line, const void *caller)
{
	struct guard *g = current;
	struct buf why = {0};

	/* A child process of the stage's is not ours to save. */
	if (!g || !g->open || getpid() != g->replica->engine->pid)
		return false;
	g->open = false;
	buf_addf(&why, "%s (", what);
	if (file)
		buf_addf(&why, "%s:%u, ", file, line);
	else
		add_caller(&why, g, caller);
	buf_addf(&why, "in %s)", g->callback);
	g->why = buf_take(&why);
	_longjmp(g->way_out, 1);
}
