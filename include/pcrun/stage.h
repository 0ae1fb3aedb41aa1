/* stage.h: all that the author of a stage reads.
 *
 * A stage is a shared object with one exported symbol, the descriptor `pc_stage_v1`, which
 * PC_STAGE() writes. pcrun does the ports, the parameters, the memory and the life cycle; the
 * stage brings code. `pcrun inspect NAME` shows a descriptor; pcrun-stage(7) is the tutorial.
 *
 * Contexts. Each entry below names where it may be called, or from where it is called:
 *   [control] one call at a time for the whole stage, may block; not always on the same thread.
 *   [stage]   inside produce, process, process_batch or finish: one call at a time per replica,
 *             on a worker thread, or on the replica's own thread when the stage is PC_BLOCKING
 *             (or the graph says thread=own). On a worker it must not block.
 *   [any]     any thread, at any time between open and close.
 *
 * Ownership. An item has reference counts. pc_emit() takes over the caller's reference. The item
 * that process() gets is lent: pc_pass() sends it on, pc_item_ref() keeps it, nothing else is
 * needed.
 *
 * Giving up. assert(), abort(), exit(), err(), pthread_exit(), and what leads to them (an exception
 * that nobody catches), make the callback fail that calls them, as pc_fail() would; the pcrun
 * command sees to it. The callback is left by a jump: locks and memory that it held stay held, no
 * destructor runs, the state stays as it was left. Not on threads of the stage's own.
 *
 * Swap. While a graph runs, another build of a stage may take over, at each replica between two
 * items. What becomes of the state (its bytes are the runtime's):
 *   adopted   the layout is the same: the new code gets the state as it lies.
 *   mapped    both builds have a field table: fields go by name into a fresh state, that is zero
 *             with the parameters written in. A new field is zero, for open() is not called; what
 *             a field that is gone has held is forgotten, not given back.
 *   migrated  state_version was raised, or a field is of another kind: the new build's migrate().
 *   refused   else; the old build runs on.
 * In none of these is close() or open() called: what open() took stays in the state, or is moved
 * by migrate(), and is now the new code's to close. Only when a fresh state is asked for
 * (--reset-state), or one of the builds has none, open() of the new build is called on a fresh
 * state while the old one still runs, and close() of the old one once it does not.
 * Parameters go by name in all cases. If one of the first 64 items of a replica fails on the new
 * build, its output is discarded, the state put back to before it, and the old build does it.
 * So: keep nothing in static memory, and no pointer to it, nor to functions, in states and items.
 *
 * Probe. Before a build takes over, another process tries it, without effects outside: it is
 * loaded; migrate() if the swap will call it; open() with the graph's parameters, and close(); of
 * a PC_PURE stage process() too, with the last items, and finish(). A crash, a hang of 2 s, an
 * exit() or a failure there refuses the build. A call in open() that would write to a file,
 * connect or start a program ends the probe, which is no mistake. With PC_NO_PROBE the build is
 * loaded there and no more. pcrun-stage(7) tells the rest.
 *
 * The handle `st` is good for the call that it is given to.
 *
 * ABI. The first 16 bytes of the descriptor and of the host table are frozen for ever. Structs
 * grow at their ends only; each carries its size (arrays: count and element size), so that old
 * stages run on new hosts, and new stages on old hosts unless they name a feature in `required`.
 */
#ifndef PCRUN_STAGE_H
#define PCRUN_STAGE_H

#include <pcrun/codes.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PC_STAGE_MAGIC UINT32_C(0x53524350) /* "PCRS" in memory */
#define PC_ABI_MAJOR   1                    /* raised when an old stage would misbehave */
#define PC_ABI_MINOR   1                    /* raised when something is added */

struct pc_stage;

/* ------------------------------------------------------------------------------- items --- */

/** What flows: bytes that the runtime owns.
 *
 * data  first byte, aligned for any type when the item came from pc_item_new(); a slice points
 *       into its parent and has its parent's alignment plus the offset.
 * size  bytes in use. May be 0.
 * More fields follow which only the runtime knows: items are made by the runtime alone. An item
 * holds data only: never a pointer to code, nor to static memory of a stage. Since ABI 1.0. */
struct pc_item {
	void *data;
	size_t size;
};

/* -------------------------------------------------------------------------- parameters --- */

enum pc_type {
	PC_T_BOOL = 1,     /* bool      true, false, yes, no, on, off */
	PC_T_I64 = 2,      /* int64_t   -5, 4k = 4000, 64Ki = 65536 */
	PC_T_U64 = 3,      /* uint64_t */
	PC_T_F64 = 4,      /* double */
	PC_T_STRING = 5,   /* const char *, the runtime's, valid until close() has returned */
	PC_T_ENUM = 6,     /* uint32_t, index into `names` */
	PC_T_DURATION = 7, /* int64_t   nanoseconds; 10us, 250ms, 1s, 5m, 1h */
	PC_T_BYTES = 8,    /* uint64_t  a size; 4k, 64Ki, 1Gi */
	PC_T_PATH = 9 /* const char *, as a string; relative to pcrun's working directory */
};

enum pc_param_flags {
	PC_LIVE = 1 << 0, /* a reload of the graph may change it while the stage runs: the
	                   * new value is written into the state between two items */
	PC_READS_SHARED = 1 << 1,  /* a string: the name of shared state, pc_shared_find() */
	PC_UPDATES_SHARED = 1 << 2 /* likewise, and the stage changes it: so it must be
	                            * `critical` in the graph, which is checked before a run */
};

/** One row of a parameter table. Use the PC_PARAM_… macros, which check the field's type.
 *
 * Texts are in the graph language's own notation. `def` NULL: must be given. `range` NULL: the
 * whole type; else "1..64", "1..", "..0.5". Since ABI 1.0. */
struct pc_param {
	const char *name;
	uint32_t type;  /* enum pc_type */
	uint32_t flags; /* enum pc_param_flags */
	size_t offset;  /* into the state */
	const char *def;
	const char *range;
	const char *unit;
	const char *const *names; /* PC_T_ENUM: ends with NULL */
	const char *doc;          /* one line, starts in lower case, no full stop */
};

#ifdef __cplusplus
#define PC_FIELD(S, f, T) offsetof(S, f)
#else
/* The array has a negative size, and the compiler says so, when the field is not a T. */
#define PC_FIELD(S, f, T)                                                                      \
	(offsetof(S, f) +                                                                      \
	 0 * sizeof(char[_Generic(&((S *)0)->f, T * : 1, T const * : 1, default                \
	                          : -1)]))
#endif

/* PC_PARAM_x(struct, field, default, range, unit, doc): the parameter has the field's name. */
#define PC_PARAM_ROW(S, f, T, t, d, r, u, n, doc)                                              \
	{                                                                                      \
#f, t, 0, PC_FIELD(S, f, T), d, r, u, n, doc                                   \
	}
#define PC_PARAM_BOOL(S, f, d, doc)                                                            \
	PC_PARAM_ROW(S, f, bool, PC_T_BOOL, d, NULL, NULL, NULL, doc)
#define PC_PARAM_I64(S, f, d, r, u, doc)                                                       \
	PC_PARAM_ROW(S, f, int64_t, PC_T_I64, d, r, u, NULL, doc)
#define PC_PARAM_U64(S, f, d, r, u, doc)                                                       \
	PC_PARAM_ROW(S, f, uint64_t, PC_T_U64, d, r, u, NULL, doc)
#define PC_PARAM_F64(S, f, d, r, u, doc)                                                       \
	PC_PARAM_ROW(S, f, double, PC_T_F64, d, r, u, NULL, doc)
#define PC_PARAM_STRING(S, f, d, doc)                                                          \
	PC_PARAM_ROW(S, f, const char *, PC_T_STRING, d, NULL, NULL, NULL, doc)
#define PC_PARAM_PATH(S, f, d, doc)                                                            \
	PC_PARAM_ROW(S, f, const char *, PC_T_PATH, d, NULL, NULL, NULL, doc)
/* `flag` is PC_READS_SHARED or PC_UPDATES_SHARED. */
#define PC_PARAM_SHARED(S, f, d, flag, doc)                                                    \
	{                                                                                      \
#f, PC_T_STRING, flag, PC_FIELD(S, f, const char *), d, NULL, NULL, NULL, doc  \
	}
#define PC_PARAM_ENUM(S, f, d, names, doc)                                                     \
	PC_PARAM_ROW(S, f, uint32_t, PC_T_ENUM, d, NULL, NULL, names, doc)
#define PC_PARAM_DURATION(S, f, d, r, doc)                                                     \
	PC_PARAM_ROW(S, f, int64_t, PC_T_DURATION, d, r, NULL, NULL, doc)
#define PC_PARAM_BYTES(S, f, d, r, doc)                                                        \
	PC_PARAM_ROW(S, f, uint64_t, PC_T_BYTES, d, r, NULL, NULL, doc)

/* -------------------------------------------------------------------------------- ports --- */

enum pc_port_flags {
	PC_REQUIRED = 1 << 0 /* an output that must be wired; inputs always must */
};

/** One row of a port table.
 *
 * type  what the items are: "text/line", "u64". "*" fits all, "text/?" with a star for the
 *       question mark fits every text type. An output may say "=in": what comes in at input
 *       `in`. Since ABI 1.0. */
struct pc_port {
	const char *name;
	const char *type;
	uint32_t flags; /* enum pc_port_flags */
	const char *doc;
};

/* ------------------------------------------------------------------------- state layout --- */

/** One row of the optional table that tells how the state is laid out, so that a swap can map
 * it by name. Parameters need no row of their own. All bytes that are not padding must be in a row
 * or a parameter, or nothing is mapped. PC_STATE_FIELDS() makes it. Since ABI 1.0. */
struct pc_field {
	const char *name;
	uint32_t kind; /* enum pc_type; 0 = raw bytes */
	uint32_t count;
	size_t offset;
	size_t size; /* of one element, bytes */
};

/* PC_STATE_FIELDS(name, LIST) makes `struct name` and its table `name_fields` of one list, so that
 * they can not differ; parameters of the struct stand in the list as well:
 *
 *   #define DEDUP(S, ONE, MANY)                  \
 *           ONE(S, PC_T_U64, uint64_t, window)   \
 *           ONE(S, PC_T_U64, uint64_t, count)    \
 *           MANY(S, 0, struct entry, seen, 1024)
 *   PC_STATE_FIELDS(dedup, DEDUP);
 *   …
 *   PC_STAGE(…, PC_STATE(struct dedup), PC_FIELDS(dedup_fields), …); */
#define PC_MEMBER_ONE(S, kind, type, name)     type name;
#define PC_MEMBER_MANY(S, kind, type, name, n) type name[n];
#define PC_ROW_ONE(S, kind, type, name)        {#name, kind, 1, offsetof(S, name), sizeof(type)},
#define PC_ROW_MANY(S, kind, type, name, n)    {#name, kind, n, offsetof(S, name), sizeof(type)},
#define PC_STATE_FIELDS(state, LIST)                                                           \
	struct state {                                                                         \
		LIST(struct state, PC_MEMBER_ONE, PC_MEMBER_MANY)                              \
	};                                                                                     \
	static const struct pc_field state##_fields[] = {                                      \
		LIST(struct state, PC_ROW_ONE, PC_ROW_MANY)}

/* --------------------------------------------------------------------------- descriptor --- */

enum pc_stage_flags {
	PC_BLOCKING = 1 << 0, /* callbacks may block: each replica gets a thread of its own */
	PC_SINGLE = 1 << 1,   /* has no meaning with more than one replica */
	PC_PURE = 1 << 2,     /* output depends on item and state only: may be replayed */
	PC_NO_PROBE = 1 << 3, /* open() has effects outside: not tried before a swap */
	PC_STDOUT = 1 << 4 /* writes to standard output: pcrun shows no progress line over it */
};

/** The descriptor. Since ABI 1.0.
 *
 * A stage has `produce` and no input, or inputs and one of `process`, `process_batch`. All other
 * callbacks may be NULL. Every callback gets the replica's handle and its state: `state_size`
 * bytes of the runtime's, zero at first, with the parameters written in before open(). */
struct pc_stage_desc {
	/* frozen */
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;     /* sizeof(struct pc_stage_desc) of the author's header */
	uint32_t required; /* features without which the stage must not run; 0 */

	const char *name;    /* as used in graphs; the file is NAME.so */
	const char *doc;     /* one line */
	const char *version; /* free text, may be NULL */
	uint64_t flags;      /* enum pc_stage_flags */

	const struct pc_port *inputs;
	uint32_t n_inputs;
	uint32_t input_size; /* of an element */
	const struct pc_port *outputs;
	uint32_t n_outputs;
	uint32_t output_size;
	const struct pc_param *params;
	uint32_t n_params;
	uint32_t param_size;

	size_t state_size;
	uint32_t state_version; /* raise when the meaning of the bytes changes */
	uint32_t n_fields;
	const struct pc_field *fields;
	size_t field_size;

	/** Prepare one replica: open files, compile patterns. [control], before any item; at a
	 * swap only for fresh states (see the top of this file).
	 * PC_OK, or what pc_fail() returned: the graph then does not start. close() follows
	 * in both cases, so that it must accept a half-open state. */
	int (*open)(struct pc_stage *st, void *state);

	/** Emit some items (say, up to a few hundred, or for 100 us). [stage]
	 * PC_OK: call again. PC_AGAIN: call again when the condition given to pc_wake_after()
	 * or pc_wake_fd() holds (a PC_BLOCKING stage may leave that out: at once). PC_END: that
	 * was all. Negative: failed, and what this call emitted is discarded. */
	int (*produce)(struct pc_stage *st, void *state);

	/** Handle one item, which is lent for the call. [stage]
	 * PC_OK: done. PC_END: done, and I want no more (my producers then end, too).
	 * Negative: this item failed; what it emitted is discarded and `on_error` decides. */
	int (*process)(struct pc_stage *st, void *state, struct pc_item *item);

	/** The same for n items at once, all of one input port; n is what pcrun finds right, from 1 to
	 * hundreds. [stage]
	 * Call pc_done(st) after each item; on failure the item after the last pc_done() is
	 * the one that failed. With PC_OK all n are done. */
	int (*process_batch)(struct pc_stage *st, void *state, struct pc_item *const *items,
	                     unsigned n);

	/** All inputs are closed and empty. May still emit. [stage]
	 * PC_OK or PC_END: done. PC_AGAIN: call again when what was emitted has left. */
	int (*finish)(struct pc_stage *st, void *state);

	/** The runtime wants the replica to end soon. Must only make a running call return
	 * (pc_stopping(st) is already true and runtime waits already return PC_STOPPED).
	 * [any], at the same time as a [stage] call. */
	void (*stop)(struct pc_stage *st, void *state);

	/** Give back what open() took, maybe an older build's. [control], last call, exactly
	 * once per state that was opened. While it takes its time, other stages go on, and close;
	 * this one has not ended before, and nothing of it is opened. When the graph is to end at
	 * once, the call has 2 s; then it is named, and left alone.
	 * Negative (after pc_fail): the end of the work failed, a file could not be written
	 * say; the graph has then failed. */
	int (*close)(struct pc_stage *st, void *state);

	/** Turn the state of an older build into this build's, at a swap. [stage] while all
	 * replicas of the stage rest. old_state is read-only; new_state is zero, with the
	 * parameters written in. What old_state owns (files, memory) is to be moved over, since
	 * neither close() nor open() is called; but only by copying pointers and numbers: the
	 * old build goes on with old_state when another replica's migration fails, or the first
	 * item does. Negative, after pc_fail(): the old build keeps running. */
	int (*migrate)(struct pc_stage *st, uint32_t old_version, const void *old_state,
	               size_t old_size, void *new_state);

	/** Input `port` is closed and empty, while others may still bring items. [stage]
	 * PC_OK; PC_END: I want no more from the others, either; negative: failed. */
	int (*closed)(struct pc_stage *st, void *state, unsigned port);
};

/* In C++ fields must be named in the order above, and a const object is local unless told. */
#ifdef __cplusplus
#define PC_STAGE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define PC_STAGE_EXPORT extern __attribute__((visibility("default")))
#endif

/** Write the descriptor, at the bottom of the file: PC_STAGE(.name = "x", .doc = "…", …). */
#define PC_STAGE(...)                                                                          \
	PC_STAGE_EXPORT const struct pc_stage_desc pc_stage_v1;                                \
	const struct pc_stage_desc pc_stage_v1 = {.magic = PC_STAGE_MAGIC,                     \
	                                          .abi_major = PC_ABI_MAJOR,                   \
	                                          .abi_minor = PC_ABI_MINOR,                   \
	                                          .size = sizeof(struct pc_stage_desc),        \
	                                          .required = 0,                               \
	                                          __VA_ARGS__}

#define PC_COUNT(a)   ((uint32_t)(sizeof(a) / sizeof((a)[0])))
#define PC_INPUTS(a)  .inputs = a, .n_inputs = PC_COUNT(a), .input_size = sizeof((a)[0])
#define PC_OUTPUTS(a) .outputs = a, .n_outputs = PC_COUNT(a), .output_size = sizeof((a)[0])
#define PC_PARAMS(a)  .params = a, .n_params = PC_COUNT(a), .param_size = sizeof((a)[0])
#define PC_STATE(T)   .state_size = sizeof(T)
#define PC_FIELDS(a)  .n_fields = PC_COUNT(a), .fields = a, .field_size = sizeof((a)[0])

/* ------------------------------------------------------------------------- shared state --- */

/** A piece of shared state, `shared NAME = …` in the graph. Lives as long as the graph; a handle
 * may be kept in the stage's state, across a swap too. Since ABI 1.0. */
struct pc_shared;

/** A value of shared state. Points into the snapshot it came from. Frozen. Since ABI 1.0.
 *
 * key     "" for bytes(size=…).
 * data    aligned for any type; a NUL stands behind the last byte.
 * number  of PC_T_I64; data then shows the same as an int64_t.
 * type    PC_T_I64, or PC_T_STRING for bytes of any kind. */
struct pc_value {
	const char *key;
	const void *data;
	size_t size;
	int64_t number;
	uint32_t type;
	uint32_t reserved;
};

/** One moment of one piece of shared state, on the caller's stack. Frozen. Since ABI 1.0.
 *
 * version  how often it has been updated. Equal: nothing has changed in between. */
struct pc_snapshot {
	struct pc_shared *shared;
	uint64_t version;
	void *more[4]; /* the runtime's */
};

/* ----------------------------------------------------------------------------- the host --- */

enum pc_level { PC_DEBUG = 0, PC_INFO = 1, PC_WARN = 2 };

enum pc_fd_events { PC_FD_READ = 1, PC_FD_WRITE = 2 };

/** The runtime's functions. Stages use the inline calls further down. Frozen head, then grows
 * at the end. Since ABI 1.0. */
struct pc_host {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;
	uint32_t features;

	struct pc_item *(*item_new)(struct pc_stage *, size_t);
	struct pc_item *(*item_slice)(struct pc_stage *, struct pc_item *, size_t, size_t);
	struct pc_item *(*item_ref)(struct pc_item *);
	void (*item_unref)(struct pc_stage *, struct pc_item *);
	struct pc_item *(*item_writable)(struct pc_stage *, struct pc_item *);
	int (*emit)(struct pc_stage *, unsigned, struct pc_item *);
	int (*emit_copy)(struct pc_stage *, unsigned, const void *, size_t);
	int (*emit_slice)(struct pc_stage *, unsigned, struct pc_item *, size_t, size_t);
	int (*pass)(struct pc_stage *, unsigned, struct pc_item *);
	void (*done)(struct pc_stage *);
	int (*fail)(struct pc_stage *, const char *, va_list)
		__attribute__((format(printf, 2, 0)));
	void (*log)(struct pc_stage *, int, const char *, va_list)
		__attribute__((format(printf, 3, 0)));
	int (*sleep)(struct pc_stage *, int64_t);
	int (*wait_fd)(struct pc_stage *, int, unsigned, int64_t);
	void (*wake_after)(struct pc_stage *, int64_t);
	void (*wake_fd)(struct pc_stage *, int, unsigned);
	void (*progress)(struct pc_stage *, uint64_t, uint64_t);
	const char *(*in_type)(struct pc_stage *, unsigned);
	bool (*out_wired)(struct pc_stage *, unsigned);
	void (*want)(struct pc_stage *, unsigned, bool);
	struct pc_shared *(*shared_find)(struct pc_stage *, const char *);
	int (*shared_set)(struct pc_stage *, struct pc_shared *, const char *, uint32_t,
	                  const void *, size_t);
	int (*shared_add)(struct pc_stage *, struct pc_shared *, const char *, int64_t,
	                  int64_t *);
	int (*shared_delete)(struct pc_stage *, struct pc_shared *, const char *);
	void (*snapshot_begin)(struct pc_stage *, struct pc_shared *, struct pc_snapshot *);
	int (*snapshot_get)(struct pc_stage *, const struct pc_snapshot *, const char *,
	                    struct pc_value *);
	int (*snapshot_next)(struct pc_stage *, struct pc_snapshot *, struct pc_value *);
	void (*snapshot_end)(struct pc_stage *, struct pc_snapshot *);
};

/** A replica, as its stage sees it. The runtime writes; stages read. More follows that only
 * the runtime knows. Since ABI 1.0. */
struct pc_stage {
	const struct pc_host *host;
	const char *name; /* the stage's name in the graph */
	uint32_t replica; /* 0 … replicas-1 */
	uint32_t replicas;
	uint32_t in_port;    /* input port of the item(s) in process() */
	uint32_t batch_hint; /* emissions that still fit without being held back */
	int stopping;        /* read through pc_stopping() */
	/* Since ABI 1.1, for the calls below alone. */
	bool passed;             /* `current` was passed on */
	struct pc_item *current; /* lent to process() */
	struct pc_stock *stock;
	struct pc_outbox *outbox;
};

/* Making a small item and sending it on are a few instructions, so the calls below do them here, in
 * the stage's code, and call the runtime for all else. A runtime that does these otherwise has an
 * empty stock and an outbox without room. Nobody else is to touch the two. */

/** Items that wait to be made: whole ones, with PC_STOCK_ROOM bytes of payload behind PC_STOCK_HEAD
 * bytes of the runtime's. Since ABI 1.1. */
struct pc_stock {
	struct pc_item **first, **top; /* equal: none */
};
#define PC_STOCK_HEAD 32
#define PC_STOCK_ROOM 32

/** What was sent out of output 0 and has not left yet. Since ABI 1.1. */
struct pc_outbox {
	struct pc_item **items;
	size_t n, room; /* equal: no room */
};

#define PC_HAS_BOXES(st) ((st)->host->abi_minor >= 1)

/* ------------------------------------------------------------------------ calls: items --- */

/** A new item of `size` bytes, contents undefined, owned by the caller. [stage] or [control]
 * NULL: no memory (then return pc_fail()). */
static inline struct pc_item *pc_item_new(struct pc_stage *st, size_t size)
{
	if (size <= PC_STOCK_ROOM && PC_HAS_BOXES(st) && st->stock->top != st->stock->first) {
		struct pc_item *item = *--st->stock->top;

		item->data = (unsigned char *)item + PC_STOCK_HEAD;
		item->size = size;
		return item;
	}
	return st->host->item_new(st, size);
}

/** A new item that shows bytes [offset, offset+size) of `parent` without copying, and keeps the
 * parent alive. The caller still owns its reference to parent. [stage] NULL: no memory, or the
 * range is not inside the parent. */
static inline struct pc_item *pc_item_slice(struct pc_stage *st, struct pc_item *parent,
                                            size_t offset, size_t size)
{
	return st->host->item_slice(st, parent, offset, size);
}

/** One more reference to the item; returns it. [stage] or [control] */
static inline struct pc_item *pc_item_ref(struct pc_stage *st, struct pc_item *item)
{
	return st->host->item_ref(item);
}

/** Give one reference back. NULL is fine. [stage] or [control] */
static inline void pc_item_unref(struct pc_stage *st, struct pc_item *item)
{
	st->host->item_unref(st, item);
}

/** Takes over the caller's reference and returns an item with the same bytes that nobody else
 * sees, so that it may be written: the item itself when it is not shared, else a copy. [stage]
 * NULL: no memory, and the reference is gone. */
static inline struct pc_item *pc_item_writable(struct pc_stage *st, struct pc_item *item)
{
	return st->host->item_writable(st, item);
}

/* ------------------------------------------------------------------ calls: emit, finish --- */

/** Send an item out of output `port` (its index in the table); takes over the reference, in
 * every case. Never blocks: items gather and are published when the callback has returned, in
 * order. [stage] PC_OK; PC_NOMEM; PC_INVALID: no such port. A port that is not wired swallows. */
static inline int pc_emit(struct pc_stage *st, unsigned port, struct pc_item *item)
{
	if (port == 0 && item && PC_HAS_BOXES(st) && st->outbox->n < st->outbox->room) {
		st->outbox->items[st->outbox->n++] = item;
		return PC_OK;
	}
	return st->host->emit(st, port, item);
}

/** pc_emit() of a fresh item with a copy of these bytes. [stage] As pc_emit(). */
static inline int pc_emit_copy(struct pc_stage *st, unsigned port, const void *data,
                               size_t size)
{
	if (size > 0 && size <= PC_STOCK_ROOM) {
		struct pc_item *item = pc_item_new(st, size);

		if (!item)
			return PC_NOMEM;
		__builtin_memcpy(item->data, data, size);
		return pc_emit(st, port, item);
	}
	return st->host->emit_copy(st, port, data, size);
}

/** pc_emit() of a slice of `parent`, which stays the caller's. [stage] As pc_emit(). */
static inline int pc_emit_slice(struct pc_stage *st, unsigned port, struct pc_item *parent,
                                size_t offset, size_t size)
{
	return st->host->emit_slice(st, port, parent, offset, size);
}

/** Send on the item that was lent to process(), uncopied. [stage] As pc_emit(). */
static inline int pc_pass(struct pc_stage *st, unsigned port, struct pc_item *item)
{
	if (port == 0 && item && PC_HAS_BOXES(st) && item == st->current && !st->passed &&
	    st->outbox->n < st->outbox->room) {
		st->passed = true;
		st->outbox->items[st->outbox->n++] = item;
		return PC_OK;
	}
	return st->host->pass(st, port, item);
}

/** In process_batch: this item is done and what it emitted may leave. [stage] */
static inline void pc_done(struct pc_stage *st)
{
	st->host->done(st);
}

/** Say why: the text that the user reads, no newline at the end. The first text of a call
 * counts. [stage] or [control] Returns PC_ERROR, to be returned on. */
__attribute__((format(printf, 2, 3))) static inline int pc_fail(struct pc_stage *st,
                                                                const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = st->host->fail(st, format, ap);
	va_end(ap);
	return r;
}

/** A line for the user, who sees the stage's name before it. [any] */
__attribute__((format(printf, 3, 4))) static inline void pc_log(struct pc_stage *st, int level,
                                                                const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	st->host->log(st, level, format, ap);
	va_end(ap);
}

/** Say whether items of input `port` are wanted at all (at first: all are). A stage that puts
 * two streams together holds the faster one back this way, so that its memory is bounded; up to
 * a batch that has been taken already may still come. [stage] */
static inline void pc_want(struct pc_stage *st, unsigned port, bool wanted)
{
	st->host->want(st, port, wanted);
}

/* ---------------------------------------------------------------------- calls: waiting --- */

/** True once the runtime wants the replica to end. [any] */
static inline bool pc_stopping(const struct pc_stage *st)
{
	/* relaxed: a late answer only means one more look */
	return __atomic_load_n(&st->stopping, __ATOMIC_RELAXED) != 0;
}

/** Sleep. [stage] in PC_BLOCKING stages only. PC_OK: the time is over; PC_STOPPED: the runtime
 * wants the replica to end; PC_AGAIN, in produce() only: the runtime wants to swap the code, so
 * return PC_AGAIN too; the same sleep in the call that follows lasts for the rest of the time.
 * PC_INVALID: this stage must not block. */
static inline int pc_sleep(struct pc_stage *st, int64_t ns)
{
	return st->host->sleep(st, ns);
}

/** Wait until a file descriptor is ready (pc_fd_events). [stage] in PC_BLOCKING stages only.
 * PC_OK, PC_TIMEOUT, PC_STOPPED, PC_AGAIN (as pc_sleep()), PC_INVALID, PC_ERROR (bad
 * descriptor). */
static inline int pc_wait_fd(struct pc_stage *st, int fd, unsigned events, int64_t timeout_ns)
{
	return st->host->wait_fd(st, fd, events, timeout_ns);
}

/** Before returning PC_AGAIN from produce(): call me again in `ns`. [stage] */
static inline void pc_wake_after(struct pc_stage *st, int64_t ns)
{
	st->host->wake_after(st, ns);
}

/** Before returning PC_AGAIN from produce(): call me again when fd is ready. [stage]
 * Both conditions may be given: the first that holds counts. */
static inline void pc_wake_fd(struct pc_stage *st, int fd, unsigned events)
{
	st->host->wake_fd(st, fd, events);
}

/* ---------------------------------------------------------------------- calls: the rest --- */

/** How far a source is: `done` of `total` units (bytes, say; total 0 = not known). [stage] */
static inline void pc_progress(struct pc_stage *st, uint64_t done, uint64_t total)
{
	st->host->progress(st, done, total);
}

/** The type of what arrives at input `port`: the writers' type, "*" when they differ. [any] */
static inline const char *pc_in_type(struct pc_stage *st, unsigned port)
{
	return st->host->in_type(st, port);
}

/** Whether anything is wired to output `port`, so that work for nobody can be left out. [any] */
static inline bool pc_out_wired(struct pc_stage *st, unsigned port)
{
	return st->host->out_wired(st, port);
}

/* ---------------------------------------------------------------- calls: shared state --- */

/* A graph declares it: `shared counts = dict(total=0, greeting="hi")`, keys with whole numbers
 * (int64_t) or bytes, or `shared stats = bytes(size=64)`, one block for a struct of the stages'
 * own, zeroed at first. Keys are strings, not empty; for a block they are NULL in all calls.
 *
 * Every stage may read, and never waits. Only stages of one critical section may update. What an
 * item's callback updates is published when that item is done, together with what the items
 * before it in the same activation did, all at once, before anything that the activation emitted
 * leaves; it is forgotten when the callback fails. Until then only the updating stage sees it.
 *
 * A read section (pc_snapshot_begin … pc_snapshot_end) sees one moment, whatever is published
 * meanwhile. It must be short: no pc_sleep(), no waiting, no return from the callback in between;
 * memory in the whole process is only given back when all read sections of its time are over. */

/** Find shared state by name. A stage gets the name by a parameter (PC_PARAM_SHARED), so that it
 * is checked before the run. [stage] or [control], usually in open().
 * NULL: there is none of that name, or this pcrun knows no shared state; return PC_ERROR then, the
 * reason has been given. */
static inline struct pc_shared *pc_shared_find(struct pc_stage *st, const char *name)
{
	if (st->host->size < offsetof(struct pc_host, snapshot_end) + sizeof(void (*)(void))) {
		pc_fail(st, "this pcrun is too old for shared state");
		return NULL;
	}
	return st->host->shared_find(st, name);
}

/** Begin a read section. Sections may be nested, of other shared state too.
 * [stage] or [control] */
static inline void pc_snapshot_begin(struct pc_stage *st, struct pc_shared *shared,
                                     struct pc_snapshot *ret)
{
	st->host->snapshot_begin(st, shared, ret);
}

/** The value of a key. *ret is valid until the section ends (a value that is the stage's own
 * update: until it updates the key again). [stage] or [control]
 * PC_OK; PC_EMPTY: there is no such key; PC_INVALID: a key for a block, or none for a dict. */
static inline int pc_snapshot_get(struct pc_stage *st, const struct pc_snapshot *snapshot,
                                  const char *key, struct pc_value *ret)
{
	return st->host->snapshot_get(st, snapshot, key, ret);
}

/** One key and value after the other, in no order. [stage] or [control]
 * PC_OK; PC_END: those were all. */
static inline int pc_snapshot_next(struct pc_stage *st, struct pc_snapshot *snapshot,
                                   struct pc_value *ret)
{
	return st->host->snapshot_next(st, snapshot, ret);
}

/** End the read section, in the callback that began it. [stage] or [control] */
static inline void pc_snapshot_end(struct pc_stage *st, struct pc_snapshot *snapshot)
{
	st->host->snapshot_end(st, snapshot);
}

/** A number, read as it is now. [stage] or [control]
 * PC_OK; PC_EMPTY: there is no such key; PC_INVALID: it is not a number. */
static inline int pc_shared_i64(struct pc_stage *st, struct pc_shared *shared, const char *key,
                                int64_t *ret)
{
	struct pc_snapshot now;
	struct pc_value value;
	int r;

	pc_snapshot_begin(st, shared, &now);
	r = pc_snapshot_get(st, &now, key, &value);
	if (r == PC_OK && value.type != PC_T_I64)
		r = PC_INVALID;
	if (r == PC_OK)
		*ret = value.number;
	pc_snapshot_end(st, &now);
	return r;
}

/** A value, copied as it is now: at most `room` bytes into `buffer`. *ret_size (may be NULL) is
 * its whole size. [stage] or [control]
 * PC_OK; PC_FULL: it is larger, and what fits was copied; PC_EMPTY and PC_INVALID as
 * pc_snapshot_get(). */
static inline int pc_shared_get(struct pc_stage *st, struct pc_shared *shared, const char *key,
                                void *buffer, size_t room, size_t *ret_size)
{
	struct pc_snapshot now;
	struct pc_value value;
	int r;

	pc_snapshot_begin(st, shared, &now);
	r = pc_snapshot_get(st, &now, key, &value);
	if (r == PC_OK) {
		__builtin_memcpy(buffer, value.data, value.size < room ? value.size : room);
		if (ret_size)
			*ret_size = value.size;
		if (value.size > room)
			r = PC_FULL;
	}
	pc_snapshot_end(st, &now);
	return r;
}

/** Set a key to bytes, which are copied; or a block, whose size must be its own. [stage], in a
 * critical stage. PC_OK; PC_NOMEM; PC_INVALID, which may be returned on, for the reason has been
 * given: the stage is not critical, another section updates this, or the key or size is wrong. */
static inline int pc_shared_set(struct pc_stage *st, struct pc_shared *shared, const char *key,
                                const void *data, size_t size)
{
	return st->host->shared_set(st, shared, key, PC_T_STRING, data, size);
}

/** Set a key to a number. [stage] As pc_shared_set(). */
static inline int pc_shared_set_i64(struct pc_stage *st, struct pc_shared *shared,
                                    const char *key, int64_t number)
{
	return st->host->shared_set(st, shared, key, PC_T_I64, &number, sizeof(number));
}

/** Add to a number; a key that is not there counts as 0. *ret_sum (may be NULL) is the sum.
 * [stage] As pc_shared_set(); PC_INVALID also when it is not a number, or the sum is none. */
static inline int pc_shared_add(struct pc_stage *st, struct pc_shared *shared, const char *key,
                                int64_t delta, int64_t *ret_sum)
{
	return st->host->shared_add(st, shared, key, delta, ret_sum);
}

/** Take a key away. [stage] As pc_shared_set(); PC_EMPTY: it was not there. */
static inline int pc_shared_delete(struct pc_stage *st, struct pc_shared *shared,
                                   const char *key)
{
	return st->host->shared_delete(st, shared, key);
}

#ifdef __cplusplus
}
#endif
#endif
