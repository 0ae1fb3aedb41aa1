/* test-boxes.c: what the header does itself since ABI 1.1, against a host made here.
 *
 * On a host of ABI 1.0, whose struct pc_stage ends earlier, each call goes to the host: what
 * stands behind the old end is not looked at. On one of 1.1 the usual case does not, and the host
 * is called when the stock is empty, the outbox full, the item large or another one, the port not
 * the first. */
#include <pcrun/stage.h>

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned called;
static char room[64];
static struct pc_item other = {room, 0};

static struct pc_item *item_new(struct pc_stage *st, size_t size)
{
	(void)st;
	(void)size;
	called++;
	return &other;
}

static int emit(struct pc_stage *st, unsigned port, struct pc_item *item)
{
	(void)st;
	(void)port;
	(void)item;
	called++;
	return PC_OK;
}

static int emit_copy(struct pc_stage *st, unsigned port, const void *data, size_t size)
{
	(void)data;
	(void)size;
	return emit(st, port, NULL);
}

static struct pc_host host = {.abi_major = 1,
                              .item_new = item_new,
                              .emit = emit,
                              .emit_copy = emit_copy,
                              .pass = emit};

static void expect(bool what, const char *text, int line)
{
	if (what)
		return;
	fprintf(stderr, "test-boxes.c:%d: %s\n", line, text);
	exit(1);
}
#define EXPECT(what) expect(what, #what, __LINE__)

/* Each of these is one call of the host. */
static void all_go_to_the_host(struct pc_stage *st, struct pc_item *item)
{
	char bytes[8] = "";

	called = 0;
	EXPECT(pc_item_new(st, 8) == &other && called == 1);
	EXPECT(pc_emit(st, 0, item) == PC_OK && called == 2);
	EXPECT(pc_pass(st, 0, item) == PC_OK && called == 3);
	/* an item of the host's, and its emission */
	EXPECT(pc_emit_copy(st, 0, bytes, sizeof(bytes)) == PC_OK && called == 5);
}

static void on_a_host_of_1_0(void)
{
	struct pc_stage st;

	host.abi_minor = 0;
	memset((void *)&st, 0xff, sizeof(st));
	st.host = &host;
	all_go_to_the_host(&st, &other);
}

static void on_a_host_of_1_1(void)
{
	static alignas(16) unsigned char memory[2][PC_STOCK_HEAD + PC_STOCK_ROOM];
	struct pc_item *free_ones[2] = {(void *)memory[1], (void *)memory[0]}, *sent[4];
	struct pc_stock stock = {free_ones, free_ones + 2};
	struct pc_outbox outbox = {sent, 0, 4};
	struct pc_stage st = {.host = &host, .stock = &stock, .outbox = &outbox};
	struct pc_item *a, lent;

	host.abi_minor = 1;
	called = 0;
	a = pc_item_new(&st, PC_STOCK_ROOM);
	EXPECT((void *)a == memory[0] && a->data == memory[0] + PC_STOCK_HEAD);
	EXPECT(a->size == PC_STOCK_ROOM);
	EXPECT(pc_emit(&st, 0, a) == PC_OK && outbox.n == 1 && sent[0] == a);
	EXPECT(pc_emit_copy(&st, 0, "1234567", 8) == PC_OK && outbox.n == 2);
	EXPECT((void *)sent[1] == memory[1] && strcmp(sent[1]->data, "1234567") == 0);
	st.current = &lent;
	EXPECT(pc_pass(&st, 0, &lent) == PC_OK && outbox.n == 3 && st.passed);
	EXPECT(called == 0 && stock.top == stock.first);

	EXPECT(pc_pass(&st, 0, &lent) == PC_OK && called == 1); /* a second time */
	st.passed = false;
	EXPECT(pc_pass(&st, 0, a) == PC_OK && called == 2 && !st.passed); /* not the lent one */
	EXPECT(pc_pass(&st, 1, &lent) == PC_OK && called == 3 && !st.passed);
	EXPECT(pc_emit(&st, 1, a) == PC_OK && called == 4);
	EXPECT(pc_emit(&st, 0, NULL) == PC_OK && called == 5); /* the host's to refuse */
	stock.top = stock.first + 1;
	EXPECT(pc_item_new(&st, PC_STOCK_ROOM + 1) == &other && called == 6);
	EXPECT(stock.top == stock.first + 1 && outbox.n == 3);

	stock.top = stock.first;
	outbox.room = outbox.n;
	all_go_to_the_host(&st, &lent);
	EXPECT(!st.passed && outbox.n == 3);
}

int main(void)
{
	on_a_host_of_1_0();
	on_a_host_of_1_1();
	return 0;
}
