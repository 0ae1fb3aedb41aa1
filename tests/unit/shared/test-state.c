/* test-state.c: what shared state promises to one thread: values, whole versions, the updater's
 * own view, what is discarded, what is deleted. Many threads are the business of tests/stress.
 *
 * The test's thread is updater and readers in one: sections of memb nest.
 */
#include "queue/rcu.h"
#include "shared/shared.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shared *make(enum shared_kind kind, size_t size)
{
	struct shared *s = shared_create(kind, size);

	cr_assert_not_null(s);
	queue_rcu_lock();
	return s;
}

static void destroy(struct shared *s)
{
	queue_rcu_unlock();
	shared_wait();
	queue_rcu_lock();
	shared_destroy(s);
	queue_rcu_unlock();
}

/* The updater's list is published, and memory may be given back. */
static void publish(struct shared *s)
{
	shared_mark(s);
	shared_publish(s);
}

static int set_i64(struct shared *s, const char *key, int64_t n)
{
	return shared_set(s, key, PC_T_I64, &n, sizeof(n));
}

static int set_text(struct shared *s, const char *key, const char *text)
{
	return shared_set(s, key, PC_T_STRING, text, strlen(text));
}

/* -1: not there; -2: not a number. */
static int64_t number_at(struct shared *s, const struct pc_snapshot *at, const char *key)
{
	struct pc_value v;

	if (shared_get(s, at, key, &v) != PC_OK)
		return -1;
	return v.type == PC_T_I64 ? v.number : -2;
}

static int64_t number(struct shared *s, bool own, const char *key)
{
	struct pc_snapshot now;
	int64_t n;

	shared_snapshot(s, own, &now);
	n = number_at(s, &now, key);
	shared_snapshot_end(&now);
	return n;
}

static size_t count(struct shared *s, struct pc_snapshot *at, int64_t *ret_sum)
{
	struct pc_value v;
	size_t n = 0;

	*ret_sum = 0;
	for (; shared_next(s, at, &v) == PC_OK; n++)
		*ret_sum += v.number;
	return n;
}

Test(shared, values_keep_type_size_and_bytes)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct pc_snapshot now;
	struct pc_value v;

	cr_expect_eq(set_i64(s, "num", -7), PC_OK);
	cr_expect_eq(set_text(s, "greeting", "hi"), PC_OK);
	cr_expect_eq(shared_set(s, "raw", PC_T_STRING, "a\0b", 3), PC_OK);
	cr_expect_eq(set_text(s, "empty", ""), PC_OK);
	publish(s);
	cr_expect_eq(shared_keys(s), 4);
	cr_expect_eq(shared_version(s), 1);

	shared_snapshot(s, false, &now);
	cr_expect_eq(now.version, 1);
	cr_assert_eq(shared_get(s, &now, "num", &v), PC_OK);
	cr_expect_eq(v.type, PC_T_I64);
	cr_expect_eq(v.number, -7);
	cr_expect_eq(v.size, 8);
	cr_expect_eq(*(const int64_t *)v.data, -7);
	cr_expect_str_eq(v.key, "num");
	cr_assert_eq(shared_get(s, &now, "greeting", &v), PC_OK);
	cr_expect_eq(v.type, PC_T_STRING);
	cr_expect_eq(v.size, 2);
	cr_expect_str_eq(v.data, "hi");
	cr_assert_eq(shared_get(s, &now, "raw", &v), PC_OK);
	cr_expect_eq(v.size, 3);
	cr_expect_eq(memcmp(v.data, "a\0b", 4), 0);
	cr_expect_eq((uintptr_t)v.data % _Alignof(max_align_t), 0);
	cr_assert_eq(shared_get(s, &now, "empty", &v), PC_OK);
	cr_expect_eq(v.size, 0);
	cr_expect_eq(shared_get(s, &now, "nobody", &v), PC_EMPTY);
	cr_expect_eq(shared_get(s, &now, NULL, &v), PC_INVALID);
	shared_snapshot_end(&now);
	destroy(s);
}

Test(shared, others_see_nothing_before_it_is_published)
{
	struct shared *s = make(SHARED_DICT, 0);
	int64_t sum = 0;

	cr_expect_eq(set_i64(s, "a", 1), PC_OK);
	cr_expect_eq(number(s, false, "a"), -1);
	cr_expect_eq(number(s, true, "a"), 1);
	shared_mark(s);
	cr_expect_eq(number(s, false, "a"), -1);
	shared_publish(s);
	cr_expect_eq(number(s, false, "a"), 1);
	for (int i = 0; i < 5; i++) {
		cr_expect_eq(shared_add(s, "a", 10, &sum), PC_OK);
		cr_expect_eq(number(s, true, "a"), sum);
		cr_expect_eq(number(s, false, "a"), 1);
		shared_mark(s);
	}
	shared_publish(s);
	cr_expect_eq(number(s, false, "a"), 51);
	cr_expect_eq(shared_version(s), 2);
	shared_publish(s);
	cr_expect_eq(shared_version(s), 2, "nothing was changed: no new version");
	cr_expect_eq(set_i64(s, "b", 1), PC_OK);
	cr_expect_eq(shared_delete(s, "b"), PC_OK);
	publish(s);
	cr_expect_eq(shared_version(s), 2, "it was never there: no new version");
	destroy(s);
}

Test(shared, discard_goes_back_to_the_mark)
{
	struct shared *s = make(SHARED_DICT, 0);

	set_i64(s, "a", 1);
	set_text(s, "b", "first");
	shared_mark(s);
	/* The second item fails: a longer value, a deletion, a new key. */
	set_text(s, "a", "something longer than a number");
	shared_delete(s, "b");
	set_i64(s, "c", 3);
	cr_expect_eq(number(s, true, "a"), -2);
	cr_expect_eq(number(s, true, "b"), -1);
	shared_discard(s);
	cr_expect_eq(number(s, true, "a"), 1);
	cr_expect_eq(number(s, true, "b"), -2);
	cr_expect_eq(number(s, true, "c"), -1);
	/* The third one succeeds. */
	cr_expect_eq(shared_add(s, "a", 1, NULL), PC_OK);
	shared_mark(s);
	/* What the fourth did has no mark. */
	set_i64(s, "a", 99);
	shared_publish(s);
	cr_expect_eq(number(s, false, "a"), 2);
	cr_expect_eq(shared_keys(s), 2);
	destroy(s);
}

Test(shared, a_snapshot_is_one_version_of_all_keys)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct pc_snapshot at[50];
	char key[16];
	int64_t sum;

	/* In version v the keys 0 … v-1 are there, each with the value v; v 10 and up lack key 3. */
	for (int64_t v = 1; v < 50; v++) {
		for (int64_t k = 0; k < v; k++) {
			snprintf(key, sizeof(key), "k%" PRId64, k);
			cr_expect_eq(set_i64(s, key, v), PC_OK);
		}
		if (v >= 10)
			cr_expect_eq(shared_delete(s, "k3"), PC_OK);
		publish(s);
		shared_snapshot(s, false, &at[v]);
	}
	for (int64_t v = 1; v < 50; v++) {
		size_t n = (size_t)v - (v >= 10);

		cr_expect_eq(at[v].version, (uint64_t)v);
		cr_expect_eq(number_at(s, &at[v], "k0"), v);
		cr_expect_eq(number_at(s, &at[v], "k3"), v < 4 || v >= 10 ? -1 : v);
		cr_expect_eq(number_at(s, &at[v], "k49"), -1);
		cr_expect_eq(count(s, &at[v], &sum), n, "version %d", (int)v);
		cr_expect_eq(sum, v * (int64_t)n);
		shared_snapshot_end(&at[v]);
	}
	destroy(s);
}

/* Read sections are left now and then, so that gravestones ripen and are buried. */
Test(shared, keys_come_and_go)
{
	struct shared *s = make(SHARED_DICT, 0);
	bool there[100] = {false};
	size_t n = 0;
	char key[16];

	srand(1);
	for (int round = 0; round < 20000; round++) {
		int k = rand() % 100;

		snprintf(key, sizeof(key), "k%d", k);
		cr_assert_eq(number(s, true, key), there[k] ? k : -1);
		if (there[k])
			cr_assert_eq(shared_delete(s, key), PC_OK);
		else
			cr_assert_eq(shared_delete(s, key), PC_EMPTY);
		if (!there[k])
			cr_assert_eq(set_i64(s, key, k), PC_OK);
		if (rand() % 10 == 0) {
			shared_discard(s);
		} else {
			shared_mark(s);
			n = there[k] ? n - 1 : n + 1;
			there[k] = !there[k];
		}
		if (rand() % 4 == 0) {
			shared_publish(s);
			cr_assert_eq(shared_keys(s), n);
			cr_assert_eq(number(s, false, key), there[k] ? k : -1);
		}
		if (round % 500 == 0) {
			queue_rcu_unlock();
			urcu_memb_barrier();
			queue_rcu_lock();
		}
	}
	destroy(s);
}

Test(shared, the_updaters_own_view_of_all_keys)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct pc_snapshot own, others;
	char key[16];
	int64_t sum;

	for (int k = 0; k < 100; k++) {
		snprintf(key, sizeof(key), "k%d", k);
		set_i64(s, key, 1);
	}
	publish(s);
	for (int k = 0; k < 50; k++) {
		snprintf(key, sizeof(key), "k%d", k);
		if (k < 20)
			shared_delete(s, key);
		else
			set_i64(s, key, 100);
	}
	for (int k = 0; k < 30; k++) {
		snprintf(key, sizeof(key), "new%d", k);
		set_i64(s, key, 10000);
	}
	shared_delete(s, "new0");
	shared_snapshot(s, true, &own);
	shared_snapshot(s, false, &others);
	cr_expect_eq(count(s, &own, &sum), 80 + 29);
	cr_expect_eq(sum, 50 + 30 * 100 + 29 * 10000);
	cr_expect_eq(count(s, &others, &sum), 100);
	cr_expect_eq(sum, 100);
	shared_snapshot_end(&own);
	shared_snapshot_end(&others);
	publish(s);
	cr_expect_eq(shared_keys(s), 80 + 29);
	destroy(s);
}

Test(shared, many_keys_in_one_update)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct pc_snapshot now;
	char key[16];
	int64_t sum;

	for (int round = 0; round < 3; round++) {
		for (int k = 0; k < 5000; k++) {
			snprintf(key, sizeof(key), "k%d", k % 2000);
			cr_assert_eq(shared_add(s, key, 1, NULL), PC_OK);
			shared_mark(s);
		}
		publish(s);
	}
	shared_snapshot(s, false, &now);
	cr_expect_eq(count(s, &now, &sum), 2000);
	cr_expect_eq(sum, 15000);
	shared_snapshot_end(&now);
	destroy(s);
}

Test(shared, bytes_are_one_block)
{
	struct {
		uint64_t a, b;
	} stats = {1, 2};
	struct shared *s = make(SHARED_BYTES, sizeof(stats));
	struct pc_snapshot before, after;
	struct pc_value v;
	int64_t sum;

	cr_expect_eq(shared_version(s), 0);
	shared_snapshot(s, false, &before);
	cr_expect_eq(shared_set(s, NULL, PC_T_STRING, &stats, sizeof(stats)), PC_OK);
	publish(s);
	shared_snapshot(s, false, &after);
	cr_expect_eq(shared_get(s, &before, NULL, &v), PC_OK);
	cr_expect_eq(v.size, sizeof(stats));
	cr_expect_eq(memcmp(v.data, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(stats)), 0);
	cr_expect_eq(shared_get(s, &after, NULL, &v), PC_OK);
	cr_expect_eq(memcmp(v.data, &stats, sizeof(stats)), 0);
	cr_expect_str_eq(v.key, "");
	cr_expect_eq(count(s, &after, &sum), 1);

	cr_expect_eq(shared_get(s, &after, "", &v), PC_INVALID);
	cr_expect_eq(shared_set(s, "", PC_T_STRING, &stats, sizeof(stats)), PC_INVALID);
	cr_expect_eq(shared_set(s, NULL, PC_T_STRING, &stats, 8), PC_INVALID);
	cr_expect_eq(shared_set(s, NULL, PC_T_I64, &stats, 8), PC_INVALID);
	cr_expect_eq(shared_add(s, NULL, 1, &sum), PC_INVALID);
	cr_expect_eq(shared_delete(s, NULL), PC_INVALID);
	shared_snapshot_end(&before);
	shared_snapshot_end(&after);
	destroy(s);
}

Test(shared, what_is_wrong_changes_nothing)
{
	static char long_key[SHARED_KEY_MAX + 2];
	struct shared *s = make(SHARED_DICT, 0);
	int64_t sum = 5;

	memset(long_key, 'k', sizeof(long_key) - 1);
	cr_expect_eq(set_i64(s, long_key, 1), PC_INVALID);
	long_key[SHARED_KEY_MAX] = '\0';
	cr_expect_eq(set_i64(s, long_key, 1), PC_OK);
	cr_expect_eq(set_i64(s, NULL, 1), PC_INVALID);
	cr_expect_eq(set_i64(s, "", 1), PC_INVALID);
	cr_expect_eq(shared_set(s, "a", PC_T_I64, "1234", 4), PC_INVALID);
	cr_expect_eq(shared_set(s, "a", PC_T_F64, "12345678", 8), PC_INVALID);
	cr_expect_eq(shared_set(s, "a", PC_T_STRING, "", SHARED_VALUE_MAX + 1), PC_INVALID);
	set_text(s, "text", "1");
	cr_expect_eq(shared_add(s, "text", 1, &sum), PC_INVALID);
	set_i64(s, "big", INT64_MAX);
	cr_expect_eq(shared_add(s, "big", 1, &sum), PC_INVALID);
	cr_expect_eq(sum, 5);
	cr_expect_eq(number(s, true, "big"), INT64_MAX);
	publish(s);
	cr_expect_eq(shared_keys(s), 3);
	destroy(s);
}

Test(shared, values_of_an_update_may_feed_the_next)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct pc_snapshot now;
	struct pc_value v;

	set_text(s, "a", "a rather long text");
	shared_snapshot(s, true, &now);
	cr_assert_eq(shared_get(s, &now, "a", &v), PC_OK);
	/* A part of itself, in place. */
	cr_expect_eq(shared_set(s, "a", PC_T_STRING, (const char *)v.data + 9, 9), PC_OK);
	cr_assert_eq(shared_get(s, &now, "a", &v), PC_OK);
	cr_expect_str_eq(v.data, "long text");
	shared_snapshot_end(&now);
	publish(s);
	destroy(s);
}

Test(shared, values_to_begin_with_are_no_update)
{
	struct shared *s = make(SHARED_DICT, 0);

	set_i64(s, "num", 10);
	shared_mark(s);
	shared_begin_with(s);
	cr_expect_eq(shared_version(s), 0);
	cr_expect_eq(number(s, false, "num"), 10);
	destroy(s);
}

Test(shared, as_text)
{
	struct shared *s = make(SHARED_DICT, 0);
	struct buf out = {0};

	set_text(s, "greeting", "say \"hi\"\n");
	set_i64(s, "num", -3);
	set_i64(s, "GET /", 2);
	publish(s);
	shared_text(s, &out);
	cr_expect_str_eq(out.text, "\"GET /\" = 2\n"
	                           "greeting = \"say \\\"hi\\\"\\x0a\"\n"
	                           "num = -3\n");
	buf_fini(&out);
	destroy(s);
	s = make(SHARED_BYTES, 5);
	shared_text(s, &out);
	cr_expect_str_eq(out.text, "00000000 00\n");
	buf_fini(&out);
	destroy(s);
	queue_rcu_lock();
	shared_destroy(NULL);
	queue_rcu_unlock();
}
