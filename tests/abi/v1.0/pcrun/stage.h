/* FROZEN as of ABI 1.0: what stages of that time were built with; never changed (tests/abi).
 *
 * stage.h: all that the author of a stage reads.
 *
 * A stage is a shared object with one exported symbol, the descriptor `pc_stage_v1`, which
 * PC_STAGE() writes. pcrun does the ports, the parameters, the memory and the life cycle; the
 * stage brings code. `pcrun inspect NAME` shows a descriptor; pcrun-stage(7) is the tutorial.
 *
 * Contexts. Each entry below names where it may be called, or from where it is called:
 *   [control] one call at a time for the whole stage, may block.
 *   [stage]   inside produce, process, process_batch or finish: one call at a time per replica,
 *             on a worker thread, or on the replica's own thread when the stage is PC_BLOCKING
 *             (or the graph says thread=own). On a worker it must not block.
 *   [any]     any thread, at any time between open and close.
 *
 * Ownership. An item has reference counts. pc_emit() takes over the caller's reference. The item
 * that process() gets is lent: pc_pass() sends it on, pc_item_ref() keeps it, nothing else is
 * needed.
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
#define PC_ABI_MINOR   0                    /* raised when something is added */

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
	PC_LIVE = 1 << 0 /* a reload of the graph may change it while the stage runs: the
	                  * new value is written into the state between two items */
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
 * it by name. Parameters need no row of their own. Since ABI 1.0. */
struct pc_field {
	const char *name;
	uint32_t kind; /* enum pc_type; 0 = raw bytes */
	uint32_t count;
	size_t offset;
	size_t size; /* of one element, bytes */
};

/* --------------------------------------------------------------------------- descriptor --- */

enum pc_stage_flags {
	PC_BLOCKING = 1 << 0, /* callbacks may block: each replica gets a thread of its own */
	PC_SINGLE = 1 << 1,   /* has no meaning with more than one replica */
	PC_PURE = 1 << 2,     /* output depends on item and state only: may be replayed */
	PC_NO_PROBE = 1 << 3  /* open() has effects outside: not tried before a swap */
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

	/** Prepare one replica: open files, compile patterns. [control], before any item.
	 * PC_OK, or what pc_fail() returned: the graph then does not start. close() follows
	 * in both cases, so that it must accept a half-open state. */
	int (*open)(struct pc_stage *st, void *state);

	/** Emit some items (say, up to a few hundred, or for 100 us). [stage]
	 * PC_OK: call again. PC_AGAIN: call again when the condition given to pc_wake_after()
	 * or pc_wake_fd() holds. PC_END: that was all. Negative: failed, and what this call
	 * emitted is discarded. */
	int (*produce)(struct pc_stage *st, void *state);

	/** Handle one item, which is lent for the call. [stage]
	 * PC_OK: done. PC_END: done, and I want no more (my producers then end, too).
	 * Negative: this item failed; what it emitted is discarded and `on_error` decides. */
	int (*process)(struct pc_stage *st, void *state, struct pc_item *item);

	/** The same for n items at once, all of one input port. [stage]
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

	/** Give back what open() took. [control], last call, exactly once per replica.
	 * Negative (after pc_fail): the end of the work failed, a file could not be written
	 * say; the graph has then failed. */
	int (*close)(struct pc_stage *st, void *state);

	/** Turn the state of an older build into this build's. [stage] at an item boundary.
	 * old_state is read-only, new_state fresh with parameters written in. */
	int (*migrate)(struct pc_stage *st, uint32_t old_version, const void *old_state,
	               size_t old_size, void *new_state);
};

/* In C++ fields must be named in the order above, and a const object is local unless told. */
#ifdef __cplusplus
#define PC_STAGE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define PC_STAGE_EXPORT __attribute__((visibility("default")))
#endif

/** Write the descriptor, at the bottom of the file: PC_STAGE(.name = "x", .doc = "…", …). */
#define PC_STAGE(...)                                                                          \
	PC_STAGE_EXPORT extern const struct pc_stage_desc pc_stage_v1;                         \
	const struct pc_stage_desc pc_stage_v1 = {                                             \
		PC_STAGE_MAGIC, PC_ABI_MAJOR, PC_ABI_MINOR, sizeof(struct pc_stage_desc), 0,   \
		__VA_ARGS__}

#define PC_COUNT(a)   ((uint32_t)(sizeof(a) / sizeof((a)[0])))
#define PC_INPUTS(a)  .inputs = a, .n_inputs = PC_COUNT(a), .input_size = sizeof((a)[0])
#define PC_OUTPUTS(a) .outputs = a, .n_outputs = PC_COUNT(a), .output_size = sizeof((a)[0])
#define PC_PARAMS(a)  .params = a, .n_params = PC_COUNT(a), .param_size = sizeof((a)[0])
#define PC_STATE(T)   .state_size = sizeof(T)
#define PC_FIELDS(a)  .n_fields = PC_COUNT(a), .fields = a, .field_size = sizeof((a)[0])

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
	int (*fail)(struct pc_stage *, const char *, va_list);
	void (*log)(struct pc_stage *, int, const char *, va_list);
	int (*sleep)(struct pc_stage *, int64_t);
	int (*wait_fd)(struct pc_stage *, int, unsigned, int64_t);
	void (*wake_after)(struct pc_stage *, int64_t);
	void (*wake_fd)(struct pc_stage *, int, unsigned);
	void (*progress)(struct pc_stage *, uint64_t, uint64_t);
	const char *(*in_type)(struct pc_stage *, unsigned);
	bool (*out_wired)(struct pc_stage *, unsigned);
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
};

/* ------------------------------------------------------------------------ calls: items --- */

/** A new item of `size` bytes, contents undefined, owned by the caller. [stage] or [control]
 * NULL: no memory (then return pc_fail()). */
static inline struct pc_item *pc_item_new(struct pc_stage *st, size_t size)
{
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
	return st->host->emit(st, port, item);
}

/** pc_emit() of a fresh item with a copy of these bytes. [stage] As pc_emit(). */
static inline int pc_emit_copy(struct pc_stage *st, unsigned port, const void *data,
                               size_t size)
{
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

/* ---------------------------------------------------------------------- calls: waiting --- */

/** True once the runtime wants the replica to end. [any] */
static inline bool pc_stopping(const struct pc_stage *st)
{
	return __atomic_load_n(&st->stopping, __ATOMIC_RELAXED) != 0;
}

/** Sleep. [stage] in PC_BLOCKING stages only. PC_OK: the time is over; PC_STOPPED: the runtime
 * wants the replica to end; PC_INVALID: this stage must not block. */
static inline int pc_sleep(struct pc_stage *st, int64_t ns)
{
	return st->host->sleep(st, ns);
}

/** Wait until a file descriptor is ready (pc_fd_events). [stage] in PC_BLOCKING stages only.
 * PC_OK, PC_TIMEOUT, PC_STOPPED, PC_INVALID, PC_ERROR (bad descriptor). */
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

#ifdef __cplusplus
}
#endif
#endif
