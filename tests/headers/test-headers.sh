#!/bin/sh
# test-headers.sh: each public header compiles alone, twice, as C11 and as C++17, without a warning.
#
# With gcc and clang, as far as they are installed; a missing compiler is a skipped test. Only the
# front ends run. Also: a whole stage compiles as C11 and as C++20 (the first C++ that can name the
# fields of a descriptor), because a header that compiles may still hold macros that do not.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

# compiles WHAT FILE COMPILER-AND-FLAGS...
compiles() {
	what=$1
	file=$2
	shift 2
	if ! command -v "$1" >/dev/null; then
		skip "$what: no $1 here"
	elif "$@" -Wall -Wextra -Wpedantic -Wconversion -Wundef -Werror -fsyntax-only \
		-I"$SOURCE/include" "$file" >why 2>&1; then
		pass "$what"
	else
		fail "$what" why
	fi
}

for path in "$SOURCE"/include/pcrun/*.h; do
	header=pcrun/${path##*/}
	printf '#include <%s>\n#include <%s>\nextern int nothing;\n' "$header" "$header" >alone.c
	cp alone.c alone.cc
	compiles "<$header> as C11, gcc" alone.c gcc -std=c11
	compiles "<$header> as C11, clang" alone.c clang -std=c11
	compiles "<$header> as C++17, gcc" alone.cc g++ -std=c++17
	compiles "<$header> as C++17, clang" alone.cc clang++ -std=c++17
done

cat >stage.c <<'END'
#include <pcrun/stage.h>

struct every {
	bool flag;
	int64_t i;
	uint64_t u;
	double f;
	const char *s;
	uint32_t e;
	int64_t d;
	uint64_t b;
	const char *p;
};

static const char *const names[] = {"one", "two", NULL};
static const struct pc_port in[] = {{"in", "text/line", 0, "what comes"}};
static const struct pc_port out[] = {{"out", "=in", PC_REQUIRED, "what goes"}};
static const struct pc_param params[] = {
	PC_PARAM_BOOL(struct every, flag, "no", "a switch"),
	PC_PARAM_I64(struct every, i, "-5", "..0", NULL, "a whole number"),
	PC_PARAM_U64(struct every, u, "4k", "1..", "items", "a count"),
	PC_PARAM_F64(struct every, f, "0.5", NULL, "dB", "a level"),
	PC_PARAM_STRING(struct every, s, NULL, "a text"),
	PC_PARAM_ENUM(struct every, e, "one", names, "a choice"),
	PC_PARAM_DURATION(struct every, d, "1s", NULL, "a time"),
	PC_PARAM_BYTES(struct every, b, "64Ki", NULL, "a size"),
	PC_PARAM_PATH(struct every, p, NULL, "a file"),
};

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct every *s = (struct every *)state;

	if (pc_stopping(st) || s->flag)
		return pc_fail(st, "%d items are enough", 3);
	pc_log(st, PC_INFO, "%s has %zu bytes", st->name, item->size);
	return pc_pass(st, 0, item);
}

PC_STAGE(.name = "every", .doc = "one of each", PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct every), .process = process);
END
# What an author gets with a warning level that is usual, not with ours: -Wmissing-field-initializers
# is part of -Wextra and must not fire on a descriptor that names its fields.
cp stage.c stage.cc
compiles 'a stage as C11, gcc' stage.c gcc -std=c11
compiles 'a stage as C11, clang' stage.c clang -std=c11
compiles 'a stage as C++20, gcc' stage.cc g++ -std=c++20 -Wno-missing-field-initializers
compiles 'a stage as C++20, clang' stage.cc clang++ -std=c++20 -Wno-missing-field-initializers

# The table macros know their fields' types: a wrong one does not compile.
sed 's/PC_PARAM_U64(struct every, u,/PC_PARAM_U64(struct every, i,/' stage.c >wrong.c
for cc in gcc clang; do
	if ! command -v $cc >/dev/null; then
		skip "a parameter of the wrong type: no $cc here"
	elif $cc -std=c11 -fsyntax-only -I"$SOURCE/include" wrong.c 2>why; then
		fail "$cc refuses a parameter row whose field has another type" wrong.c
	else
		pass "$cc refuses a parameter row whose field has another type"
	fi
done
done_testing
