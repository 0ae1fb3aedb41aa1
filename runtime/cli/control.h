/* cli/control.h: the sockets by which a running graph is spoken to: where they are, and what is said.
 *
 * A line is a request; the words are those of the command line. pcrun-control(7) is the
 * description for others. control-dir.c: the directory; control-server.c: connections;
 * control-request.c: what a request does; control-client.c: the other side. */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "cli/event.h"

#include <pcrun/pcrun.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define CONTROL_PROTOCOL 1

enum {
	CONTROL_LINE = 16384, /* bytes of a request with its newline */
	CONTROL_WORDS = 256,
	CONTROL_PEERS = 64
};

/* Exit statuses of the words that ask something of a running graph. */
enum control_status {
	CONTROL_OK = 0,
	CONTROL_FAILED = 1, /* the graph ended, or another request came, before it was done */
	CONTROL_USAGE = 2,  /* also: no such graph, no such stage */
	CONTROL_REFUSED = 3,
	CONTROL_BACK = 4,   /* it ran, failed, and the one before runs again */
	CONTROL_WAITING = 5 /* a replica has not come back in time; the swap goes on */
};

/* ------------------------------------------------------------------- control-dir.c --- */

struct control_socket {
	int fd;     /* listening; -1: there is none */
	int dir_fd; /* where its name stands */
	char dir[PATH_MAX], name[128];
};

/* Makes a socket for a graph, named after `file`, in the user's directory. False: *ret_reason. */
bool control_bind(struct control_socket *socket, const char *file, const char **ret_reason);
void control_unbind(struct control_socket *socket);
/* "wordcount" of "graphs/wordcount.txt"; "text" and "stdin" for what is no file. */
void control_graph_name(const char *file, char *name, size_t size);
/* Every socket of the user's that somebody listens on, connected; stale ones are removed on the
 * way. `each` takes the descriptor over. 0, or an errno: for want of descriptors or memory it could not
 * look everywhere. */
int control_each(void (*each)(void *user, int fd, const char *path), void *user);

/* ---------------------------------------------------------------- control-server.c --- */

struct session;
struct job;

struct peer {
	struct peer *next;
	struct server *server;
	uv_pipe_t pipe;
	char line[CONTROL_LINE];
	size_t size;            /* of `line` */
	struct job *job;        /* what it waits for, or NULL */
	bool job_json;          /* how it is to be answered */
	bool reading, ended;    /* no more comes */
	bool closing, last_one; /* after this answer */
	bool in_turn;           /* go_on() is at it */
	bool events, events_json;
	uint64_t idle_since; /* uv_now() */
};

struct server {
	struct session *session;
	struct control_socket socket;
	uv_poll_t poll;
	uv_timer_t again; /* after descriptors had run out */
	struct peer *peers;
	unsigned n_peers, n_open;
	bool on;
};

void server_start(struct server *server, struct session *session);
void server_event(struct server *server, const struct event *event);
void server_stop(struct server *server); /* no new ones */
void server_fini(struct server *server); /* the loop must run after it */
/* Answers the request that the peer waits for, and goes on to the next. `json` is what stands in
 * the object beside status, request and text, with a comma before it; may be NULL. */
void server_answer(struct peer *peer, bool as_json, const char *request, int status,
                   const char *text, const char *json);

/* --------------------------------------------------------------- control-request.c --- */

/* A whole line without its newline, which is cut into words. It is answered now, or the peer
 * waits for a job. */
void control_request(struct peer *peer, char *line, size_t size);
/* Words of a line: blanks between them, "…" around those that hold blanks, \ before " and \ in
 * these. The number, or -1: it is no such line, or has too many. */
int control_words(char *line, size_t size, char *words[CONTROL_WORDS]);
/* The same the other way round. */
void control_put_word(FILE *out, const char *word);

#endif
