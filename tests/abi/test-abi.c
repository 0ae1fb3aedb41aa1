/* test-abi.c: the layout and the numbers of the public ABI, pinned.
 *
 * It compiles or it does not; running it proves nothing more. What is pinned here is in binaries
 * out there: fields keep their places, values their meaning, functions their types. Structs may
 * grow at their ends. If a line here must change, stages and programs in the field break: raise
 * PC_ABI_MAJOR (stage.h) or the soversion (pcrun.h, queue.h). Places are those of 64-bit
 * machines. */
#include <pcrun/pcrun.h>
#include <pcrun/queue.h>
#include <pcrun/stage.h>

#define IS(name, value) _Static_assert((name) == (value), #name)
#define TYPE(S, f, T)                                                                          \
	_Static_assert(_Generic(((struct S *)0)->f, T : 1, default : 0), #S "." #f)

IS(PC_STAGE_MAGIC, 0x53524350);
IS(PC_ABI_MAJOR, 1);
IS(PC_FOREVER, INT64_MAX);
IS(PC_US, 1000);
IS(PC_MS, 1000000);
IS(PC_SEC, 1000000000);

IS(PC_OK, 0);
IS(PC_END, 1);
IS(PC_AGAIN, 2);
IS(PC_ERROR, -1);
IS(PC_FULL, -2);
IS(PC_EMPTY, -3);
IS(PC_TIMEOUT, -4);
IS(PC_CLOSED, -5);
IS(PC_STOPPED, -6);
IS(PC_NOMEM, -7);
IS(PC_INVALID, -8);
IS(PC_WRONG, -9);
IS(PC_DEADLOCK, -10);

IS(PC_T_BOOL, 1);
IS(PC_T_I64, 2);
IS(PC_T_U64, 3);
IS(PC_T_F64, 4);
IS(PC_T_STRING, 5);
IS(PC_T_ENUM, 6);
IS(PC_T_DURATION, 7);
IS(PC_T_BYTES, 8);
IS(PC_T_PATH, 9);

IS(PC_LIVE, 1);

IS(PC_REQUIRED, 1);

IS(PC_BLOCKING, 1);
IS(PC_SINGLE, 2);
IS(PC_PURE, 4);
IS(PC_NO_PROBE, 8);

IS(PC_DEBUG, 0);
IS(PC_INFO, 1);
IS(PC_WARN, 2);

IS(PC_FD_READ, 1);
IS(PC_FD_WRITE, 2);

IS(PC_FULL_BLOCK, 0);
IS(PC_FULL_DROP_NEW, 1);
IS(PC_FULL_DROP_OLD, 2);
IS(PC_FULL_ERROR, 3);

IS(PC_STOP_DRAIN, 1);
IS(PC_STOP_NOW, 2);

#if UINTPTR_MAX == UINT64_MAX
#define AT(S, f, place)   _Static_assert(offsetof(struct S, f) == (place), #S "." #f)
#define AT_LEAST(S, size) _Static_assert(sizeof(struct S) >= (size), #S)

AT(pc_item, data, 0);
AT(pc_item, size, 8);
AT_LEAST(pc_item, 16);

AT(pc_param, name, 0);
AT(pc_param, type, 8);
AT(pc_param, flags, 12);
AT(pc_param, offset, 16);
AT(pc_param, def, 24);
AT(pc_param, range, 32);
AT(pc_param, unit, 40);
AT(pc_param, names, 48);
AT(pc_param, doc, 56);
AT_LEAST(pc_param, 64);

AT(pc_port, name, 0);
AT(pc_port, type, 8);
AT(pc_port, flags, 16);
AT(pc_port, doc, 24);
AT_LEAST(pc_port, 32);

AT(pc_field, name, 0);
AT(pc_field, kind, 8);
AT(pc_field, count, 12);
AT(pc_field, offset, 16);
AT(pc_field, size, 24);
AT_LEAST(pc_field, 32);

AT(pc_stage_desc, magic, 0);
AT(pc_stage_desc, abi_major, 4);
AT(pc_stage_desc, abi_minor, 6);
AT(pc_stage_desc, size, 8);
AT(pc_stage_desc, required, 12);
AT(pc_stage_desc, name, 16);
AT(pc_stage_desc, doc, 24);
AT(pc_stage_desc, version, 32);
AT(pc_stage_desc, flags, 40);
AT(pc_stage_desc, inputs, 48);
AT(pc_stage_desc, n_inputs, 56);
AT(pc_stage_desc, input_size, 60);
AT(pc_stage_desc, outputs, 64);
AT(pc_stage_desc, n_outputs, 72);
AT(pc_stage_desc, output_size, 76);
AT(pc_stage_desc, params, 80);
AT(pc_stage_desc, n_params, 88);
AT(pc_stage_desc, param_size, 92);
AT(pc_stage_desc, state_size, 96);
AT(pc_stage_desc, state_version, 104);
AT(pc_stage_desc, n_fields, 108);
AT(pc_stage_desc, fields, 112);
AT(pc_stage_desc, field_size, 120);
AT(pc_stage_desc, open, 128);
AT(pc_stage_desc, produce, 136);
AT(pc_stage_desc, process, 144);
AT(pc_stage_desc, process_batch, 152);
AT(pc_stage_desc, finish, 160);
AT(pc_stage_desc, stop, 168);
AT(pc_stage_desc, close, 176);
AT(pc_stage_desc, migrate, 184);
AT_LEAST(pc_stage_desc, 192);

AT(pc_host, magic, 0);
AT(pc_host, abi_major, 4);
AT(pc_host, abi_minor, 6);
AT(pc_host, size, 8);
AT(pc_host, features, 12);
AT(pc_host, item_new, 16);
AT(pc_host, item_slice, 24);
AT(pc_host, item_ref, 32);
AT(pc_host, item_unref, 40);
AT(pc_host, item_writable, 48);
AT(pc_host, emit, 56);
AT(pc_host, emit_copy, 64);
AT(pc_host, emit_slice, 72);
AT(pc_host, pass, 80);
AT(pc_host, done, 88);
AT(pc_host, fail, 96);
AT(pc_host, log, 104);
AT(pc_host, sleep, 112);
AT(pc_host, wait_fd, 120);
AT(pc_host, wake_after, 128);
AT(pc_host, wake_fd, 136);
AT(pc_host, progress, 144);
AT(pc_host, in_type, 152);
AT(pc_host, out_wired, 160);
AT_LEAST(pc_host, 168);

AT(pc_stage, host, 0);
AT(pc_stage, name, 8);
AT(pc_stage, replica, 16);
AT(pc_stage, replicas, 20);
AT(pc_stage, in_port, 24);
AT(pc_stage, batch_hint, 28);
AT(pc_stage, stopping, 32);
AT_LEAST(pc_stage, 40);
/* 1.1 */
AT(pc_stage, passed, 36);
AT(pc_stage, current, 40);
AT(pc_stage, stock, 48);
AT(pc_stage, outbox, 56);
AT_LEAST(pc_stage, 64);
AT(pc_stock, first, 0);
AT(pc_stock, top, 8);
IS(PC_STOCK_HEAD, 32);
IS(PC_STOCK_ROOM, 32);
AT(pc_outbox, items, 0);
AT(pc_outbox, n, 8);
AT(pc_outbox, room, 16);

AT(pc_load_options, size, 0);
AT(pc_load_options, defines, 8);
AT(pc_load_options, n_defines, 16);
AT(pc_load_options, plugin_dirs, 24);
AT(pc_load_options, n_plugin_dirs, 32);
AT_LEAST(pc_load_options, 40);

AT(pc_run_options, size, 0);
AT(pc_run_options, workers, 8);
AT(pc_run_options, drain_ns, 16);
AT(pc_run_options, grace_ns, 24);
AT(pc_run_options, log, 32);
AT(pc_run_options, log_user, 40);
AT(pc_run_options, log_level, 48);
AT_LEAST(pc_run_options, 56);

AT(pc_queue_row, name, 0);
AT(pc_queue_row, file, 8);
AT(pc_queue_row, line, 16);
AT(pc_queue_row, capacity, 24);
AT(pc_queue_row, put, 32);
AT(pc_queue_row, done, 40);
AT(pc_queue_row, dropped, 48);
AT(pc_queue_row, dead, 56);
AT(pc_queue_row, abandoned, 64);
AT(pc_queue_row, queued, 72);
AT(pc_queue_row, high_water, 80);
AT(pc_queue_row, full_waits, 88);
AT(pc_queue_row, empty_waits, 96);
AT_LEAST(pc_queue_row, 104);

AT(pc_stage_row, name, 0);
AT(pc_stage_row, plugin, 8);
AT(pc_stage_row, replicas, 16);
AT(pc_stage_row, taken, 24);
AT(pc_stage_row, emitted, 32);
AT(pc_stage_row, failed, 40);
AT(pc_stage_row, skipped, 48);
AT(pc_stage_row, retried, 56);
AT(pc_stage_row, activations, 64);
AT(pc_stage_row, busy_ns, 72);
AT(pc_stage_row, progress, 80);
AT(pc_stage_row, progress_total, 88);
AT(pc_stage_row, state, 96);
AT_LEAST(pc_stage_row, 104);

AT(pc_queue_options, size, 0);
AT(pc_queue_options, capacity, 8);
AT(pc_queue_options, full, 12);
AT(pc_queue_options, writers, 16);
AT(pc_queue_options, readers, 20);
AT(pc_queue_options, drop, 24);
AT(pc_queue_options, drop_user, 32);
AT_LEAST(pc_queue_options, 40);

AT(pc_queue_stats, put, 0);
AT(pc_queue_stats, taken, 8);
AT(pc_queue_stats, done, 16);
AT(pc_queue_stats, dropped, 24);
AT(pc_queue_stats, queued, 32);
AT(pc_queue_stats, high_water, 40);
AT(pc_queue_stats, full_waits, 48);
AT(pc_queue_stats, empty_waits, 56);
AT(pc_queue_stats, memory_bytes, 64);
AT(pc_queue_stats, retired_bytes, 72);
AT_LEAST(pc_queue_stats, 80);
#endif

TYPE(pc_stage_desc, open, int (*)(struct pc_stage *, void *));
TYPE(pc_stage_desc, produce, int (*)(struct pc_stage *, void *));
TYPE(pc_stage_desc, process, int (*)(struct pc_stage *, void *, struct pc_item *));
TYPE(pc_stage_desc, process_batch,
     int (*)(struct pc_stage *, void *, struct pc_item *const *, unsigned));
TYPE(pc_stage_desc, finish, int (*)(struct pc_stage *, void *));
TYPE(pc_stage_desc, stop, void (*)(struct pc_stage *, void *));
TYPE(pc_stage_desc, close, int (*)(struct pc_stage *, void *));
TYPE(pc_stage_desc, migrate,
     int (*)(struct pc_stage *, uint32_t, const void *, size_t, void *));

TYPE(pc_host, item_new, struct pc_item *(*)(struct pc_stage *, size_t));
TYPE(pc_host, item_slice,
     struct pc_item *(*)(struct pc_stage *, struct pc_item *, size_t, size_t));
TYPE(pc_host, item_ref, struct pc_item *(*)(struct pc_item *));
TYPE(pc_host, item_unref, void (*)(struct pc_stage *, struct pc_item *));
TYPE(pc_host, item_writable, struct pc_item *(*)(struct pc_stage *, struct pc_item *));
TYPE(pc_host, emit, int (*)(struct pc_stage *, unsigned, struct pc_item *));
TYPE(pc_host, emit_copy, int (*)(struct pc_stage *, unsigned, const void *, size_t));
TYPE(pc_host, emit_slice,
     int (*)(struct pc_stage *, unsigned, struct pc_item *, size_t, size_t));
TYPE(pc_host, pass, int (*)(struct pc_stage *, unsigned, struct pc_item *));
TYPE(pc_host, done, void (*)(struct pc_stage *));
TYPE(pc_host, fail, int (*)(struct pc_stage *, const char *, va_list));
TYPE(pc_host, log, void (*)(struct pc_stage *, int, const char *, va_list));
TYPE(pc_host, sleep, int (*)(struct pc_stage *, int64_t));
TYPE(pc_host, wait_fd, int (*)(struct pc_stage *, int, unsigned, int64_t));
TYPE(pc_host, wake_after, void (*)(struct pc_stage *, int64_t));
TYPE(pc_host, wake_fd, void (*)(struct pc_stage *, int, unsigned));
TYPE(pc_host, progress, void (*)(struct pc_stage *, uint64_t, uint64_t));
TYPE(pc_host, in_type, const char *(*)(struct pc_stage *, unsigned));
TYPE(pc_host, out_wired, bool (*)(struct pc_stage *, unsigned));

int main(void)
{
	return 0;
}
