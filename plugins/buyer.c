/* buyer: somebody who wants one of the few tickets that are left.
 *
 * in   u64: the buyer's number
 * out  the same number, when done
 *
 * The tickets are counted in a file, {"count": 5}. act=check takes as long as a slow network
 * does (`pace`), looks, and tells `buyer 3 checked: 5 left`: any number of buyers may do that at
 * once. act=get looks again, dawdles for a tenth of `pace`, and takes one: `buyer 3 successfully
 * purchased`, or `buyer 3: No more tickets`. Between its look and its write nobody else may get:
 * the graph must say `critical`, which is the lesson.
 *
 * The file is replaced whole (written beside, forced to disk, renamed), so that at any instant,
 * also after a kill -9, it holds the old count or the new one. Other members of the JSON object
 * are kept. */
#include "lesson.h"

#include <fcntl.h>
#include <jansson.h>

enum buyer_act { BUYER_CHECK, BUYER_GET };

static const char *const buyer_acts[] = {"check", "get", NULL};

struct buyer {
	uint32_t act;
	const char *db;
	int64_t pace;
};

static const struct pc_param buyer_params[] = {
	PC_PARAM_ENUM(struct buyer, act, NULL, buyer_acts,
                      "look how many are left, or get one"),
	PC_PARAM_PATH(struct buyer, db, "db.txt", "the file that holds {\"count\": N}"),
	PC_PARAM_DURATION(struct buyer, pace, "1s", NULL, "how long a check takes"),
};

/* NULL: failed. */
static json_t *load(struct pc_stage *st, const struct buyer *s, json_int_t *ret_count)
{
	json_error_t err;
	json_t *count, *db = json_load_file(s->db, 0, &err);

	if (db == NULL) {
		pc_fail(st, "cannot read %s: %s", s->db, err.text);
		return NULL;
	}
	count = json_object_get(db, "count");
	if (!json_is_integer(count)) {
		pc_fail(st, "%s holds no {\"count\": N}", s->db);
		json_decref(db);
		return NULL;
	}
	*ret_count = json_integer_value(count);
	return db;
}

static int save(struct pc_stage *st, const struct buyer *s, json_t *db)
{
	char *beside;
	int fd = -1;
	int r = PC_ERROR;

	if (asprintf(&beside, "%s.new", s->db) < 0)
		return pc_fail(st, "no memory for a file name");
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || json_dumpfd(db, fd, 0) != 0 || dprintf(fd, "\n") < 0 || fsync(fd) != 0 ||
	    rename(beside, s->db) != 0)
		pc_fail(st, "cannot write %s: %s", s->db, strerror(errno));
	else
		r = PC_OK;
	if (fd >= 0)
		close(fd);
	free(beside);
	return r;
}

static int check(struct pc_stage *st, const struct buyer *s, uint64_t number)
{
	json_int_t count;
	json_t *db;
	int r = pc_sleep(st, s->pace);

	if (r != PC_OK)
		return r;
	db = load(st, s, &count);
	if (db == NULL)
		return PC_ERROR;
	json_decref(db);
	return lesson_tell(st, "buyer %llu checked: %lld left\n", (unsigned long long)number,
	                   (long long)count);
}

static int get(struct pc_stage *st, const struct buyer *s, uint64_t number)
{
	json_int_t count;
	json_t *db = load(st, s, &count);
	int r;

	if (db == NULL)
		return PC_ERROR;
	r = pc_sleep(st, s->pace / 10);
	if (r == PC_OK && count > 0) {
		json_object_set_new(db, "count", json_integer(count - 1));
		r = save(st, s, db);
	}
	json_decref(db);
	if (r != PC_OK)
		return r;
	if (count > 0)
		return lesson_tell(st, "buyer %llu successfully purchased\n",
		                   (unsigned long long)number);
	return lesson_tell(st, "buyer %llu: No more tickets\n", (unsigned long long)number);
}

/* A file that is no good is better found before anybody buys. */
static int buyer_open(struct pc_stage *st, void *state)
{
	json_int_t count;
	json_t *db = load(st, state, &count);

	json_decref(db);
	return db != NULL ? PC_OK : PC_ERROR;
}

static int buyer_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct buyer *s = state;
	uint64_t number;
	int r;

	if (item->size != sizeof(number))
		return pc_fail(st, "an item of %zu bytes is no number", item->size);
	memcpy(&number, item->data, sizeof(number));
	r = s->act == BUYER_CHECK ? check(st, s, number) : get(st, s, number);
	return r == PC_OK ? pc_pass(st, 0, item) : r;
}

static const struct pc_port buyer_in[] = {{"in", "u64", 0, "the buyer's number"}};
static const struct pc_port buyer_out[] = {{"out", "u64", 0, "the same, when done"}};

PC_STAGE(.name = "buyer", .doc = "look for tickets, or get one",
         .flags = PC_BLOCKING | PC_STDOUT, PC_INPUTS(buyer_in), PC_OUTPUTS(buyer_out),
         PC_PARAMS(buyer_params), PC_STATE(struct buyer), .state_version = 1,
         .open = buyer_open, .process = buyer_process);
