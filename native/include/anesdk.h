/* anesdk.h: the one public header of libanesdk. Plain C99, opaque handles.
 *
 * Conventions
 *   - every call returns ANESDK_OK (0) or a negative status; the reason, in words, is in
 *     anesdk_last_error() of the same thread until the next failing call on it;
 *   - creators put the result in the last argument; a release takes the address of the handle and nulls it;
 *   - the library checks every handle, size and text it is given: a bad one is a status, never a crash;
 *   - the caller owns buffers and handles; run() only borrows memory for the time of the call.
 */
#ifndef ANESDK_H
#define ANESDK_H

#include <stdint.h>

#if defined(__GNUC__)
#define ANESDK_API __attribute__((visibility("default")))
#else
#define ANESDK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define ANESDK_ABI_VERSION 7
#define ANESDK_MAX_RANK 32

/* status codes: name, value, meaning */
#define ANESDK_STATUS_LIST(X)                                                                     \
  X(ANESDK_OK, 0, "ok")                                                                           \
  X(ANESDK_INVALID_ARGUMENT, -1, "an argument is null, out of range or of the wrong size")        \
  X(ANESDK_INVALID_HANDLE, -2, "the handle is not one this library gave out, or it was released") \
  X(ANESDK_PARSE_ERROR, -3, "the MIL text does not follow the grammar")                           \
  X(ANESDK_VERIFY_ERROR, -4, "the MIL program breaks a rule of its target")                       \
  X(ANESDK_UNSUPPORTED, -5, "the device cannot do this")                                          \
  X(ANESDK_OUT_OF_MEMORY, -6, "an allocation failed")                                             \
  X(ANESDK_UNKNOWN_DEVICE, -7, "no device of that name")                                          \
  X(ANESDK_RUNTIME_ERROR, -8, "the device failed while running")                                  \
  X(ANESDK_INTERNAL_ERROR, -9, "a defect of the library")                                         \
  X(ANESDK_ENGINE_MISSING, -10, "this process cannot reach the engine")                           \
  X(ANESDK_COMPILE_REFUSED, -11, "the engine's compiler does not take the program")               \
  X(ANESDK_COMPILE_FAILED, -12, "the engine's compiler failed; it may succeed another time")      \
  X(ANESDK_ENGINE_FULL, -13, "the engine has no room for the program")                            \
  X(ANESDK_TIMEOUT, -14, "the engine did not answer in time")                                     \
  X(ANESDK_WRONG_RESULT, -15, "the engine reported success and gave no result, or a wrong one")   \
  X(ANESDK_INTERRUPTED, -16, "the host ended the call; a run's outputs may be half written")      \
  X(ANESDK_BROKEN_OFF, -17, "a run failed midway; its outputs and donated inputs may be half written")

enum anesdk_status {
#define ANESDK_STATUS_ENUM(name, value, text) name = value,
  ANESDK_STATUS_LIST(ANESDK_STATUS_ENUM)
#undef ANESDK_STATUS_ENUM
};

/* element types: enum suffix, code, MIL name, bytes */
#define ANESDK_DTYPE_LIST(X) \
  X(BOOL, 0, "bool", 1)      \
  X(INT8, 1, "int8", 1)      \
  X(INT16, 2, "int16", 2)    \
  X(INT32, 3, "int32", 4)    \
  X(INT64, 4, "int64", 8)    \
  X(UINT8, 5, "uint8", 1)    \
  X(UINT16, 6, "uint16", 2)  \
  X(UINT32, 7, "uint32", 4)  \
  X(UINT64, 8, "uint64", 8)  \
  X(FP16, 9, "fp16", 2)      \
  X(BF16, 10, "bf16", 2)     \
  X(FP32, 11, "fp32", 4)     \
  X(FP64, 12, "fp64", 8)     \
  X(STRING, 13, "string", 0)

enum anesdk_dtype {
#define ANESDK_DTYPE_ENUM(suffix, code, text, size) ANESDK_DTYPE_##suffix = code,
  ANESDK_DTYPE_LIST(ANESDK_DTYPE_ENUM)
#undef ANESDK_DTYPE_ENUM
};

typedef struct anesdk_program anesdk_program; /* a verified, compiled program of one device */
typedef struct anesdk_buffer anesdk_buffer;   /* 64-byte aligned host memory, pooled by the library */

/* One input or output of a compiled program. */
typedef struct anesdk_port {
  int32_t dtype;                  /* anesdk_dtype */
  int32_t rank;                   /* 0 .. ANESDK_MAX_RANK */
  int64_t shape[ANESDK_MAX_RANK]; /* dense, row-major */
  uint64_t nbytes;                /* product of shape times element size */
  int64_t alias;                  /* output: index of the donated input whose memory it must be given, or -1 */
} anesdk_port;

ANESDK_API int32_t anesdk_abi_version(void);
ANESDK_API const char* anesdk_status_name(int32_t status);
ANESDK_API const char* anesdk_last_error(void);

/* Names of the devices built in, separated by commas: "cpu,cpu-fp16,ane,null". "ane" compiles only where Espresso is
 * found; "cpu-fp16" takes the programs that "ane" takes and runs them on the CPU with the engine's numerics. */
ANESDK_API const char* anesdk_devices(void);

/* Threads of the CPU device's pool, 1 .. 256; set while no program runs. path: the BLAS library to open, or NULL. */
ANESDK_API int32_t anesdk_set_num_threads(int32_t count);
ANESDK_API int32_t anesdk_num_threads(int32_t* out);
ANESDK_API int32_t anesdk_load_blas(const char* path);

/* The processes that compute together, by MPI: the functions of its library, and its handles as 64-bit integers
 * (the values of 32-bit ones zero-extended). set while no program runs; what `functions` point to must stay loaded. */
typedef struct anesdk_processes {
  int32_t size;           /* how many there are; 1: no other, and nothing below is read */
  int32_t index;          /* of this one, 0 .. size - 1 */
  uint64_t request_bytes; /* of an MPI_Request, at most 16 */
  int64_t timeout;        /* milliseconds after which a call gives up waiting for the others; 0: never */
  int64_t idle;           /* milliseconds after which it gives up waiting for a process that does nothing; 0: never */
  uint64_t bucket_bytes;  /* sums of more bytes go as several messages */
  uint64_t communicator;
  uint64_t sum;       /* the MPI_Op */
  uint64_t bytes;     /* the MPI_Datatype of one byte */
  uint64_t types[13]; /* the MPI_Datatype of each anesdk_dtype that sums take; 0 for the others */
  const void* iallreduce;
  const void* iallgather;
  const void* ialltoall;
  const void* isend;
  const void* irecv;
  const void* test;
} anesdk_processes;
ANESDK_API int32_t anesdk_set_processes(const anesdk_processes* table);

/* Each run of a program that talks to other processes first compares a digest of the program with those of the others.
 * A process that leaves compares this one, so that the others are told instead of waiting. */
#define ANESDK_PROCESS_LEFT 1
ANESDK_API int32_t anesdk_leave_processes(void);

/* Buffers: count of them in one call; sizes[i] may be 0. handles[i] and data[i] are written. A release nulls what it
 * released, and stops at the first handle that is not live. */
ANESDK_API int32_t anesdk_buffers_create(uint64_t count, const uint64_t* sizes, anesdk_buffer** handles, void** data);
ANESDK_API int32_t anesdk_buffers_release(uint64_t count, anesdk_buffer** handles);

/* Memory that the library keeps for reuse, buffers and scratch memory of programs, is freed when it was idle for some
 * seconds. With `release` all of it is freed now. bytes, which may be NULL: how much there is afterwards. */
ANESDK_API int32_t anesdk_idle_memory(int32_t release, uint64_t* bytes);

/* A host whose threads hold a lock while they call, as Python's threads hold the GIL, and which handles signals during
 * long calls. The functions with a host call on their own thread: released = release() before they begin;
 * acquire(released) before they return; and in between, about every 50 ms and on the main thread of the process alone,
 * acquire, check and release. check() != 0 ends the call with ANESDK_INTERRUPTED. A single step, such as one matrix
 * product, is not interrupted. The engine goes on with what it was given, and the next call waits for it. check may
 * call the library again, but not run the engine's program that waits. */
typedef struct anesdk_host {
  void* (*release)(void);
  void (*acquire)(void* released);
  int32_t (*check)(void);
} anesdk_host;

/* Parse and verify only. target: "cpu", "coreml" or "ane". */
ANESDK_API int32_t anesdk_verify(const char* text, uint64_t length, const char* target);

/* Compile the function `main`. options: "" or "key=value" pairs joined by ';'.
 *   donate=0,2         input indices whose memory outputs may take
 * and for the engine (other devices take them and do nothing):
 *   share=0:1,3:0      pairs of an input and an output of its type that have one buffer inside the engine, so that what
 *                      one run makes is there for the next, which must not begin to write before it has read
 * and in milliseconds:
 *   backoff=15000         how long the next compile waits should this one fail
 *   compile_limit=300000  after which a compile, and
 *   run_limit=60000       after which a run ends with ANESDK_TIMEOUT
 */
ANESDK_API int32_t anesdk_program_compile(const char* device, const char* text, uint64_t length, const char* options,
                                          anesdk_program** out);
ANESDK_API int32_t anesdk_program_compile_hosted(const anesdk_host* host, const char* device, const char* text,
                                                 uint64_t length, const char* options, anesdk_program** out);
ANESDK_API int32_t anesdk_program_release(anesdk_program** handle);
ANESDK_API int32_t anesdk_program_num_ports(const anesdk_program* program, uint64_t* inputs, uint64_t* outputs);
ANESDK_API int32_t anesdk_program_port(const anesdk_program* program, int32_t is_output, uint64_t index,
                                       anesdk_port* out);
/* what: "plan" (steps, fusions, arena, as text), "stats" or "profile" (JSON objects). Writes at most capacity bytes,
 * NUL included. "numerics", of cpu-fp16 only: a JSON object, {"runs": n, "operations": [...]}, with one object for each
 * input and each operation that rounds, in the program's order. Its counts are of all runs since the program was
 * compiled:
 *   - name, operation: the result's name in the program and its operation; for an input its name and "input"
 *   - elements: of the result, in one run
 *   - largest: the greatest finite magnitude, before it was rounded to fp16
 *   - overflowed: elements that finite operands made infinite
 *   - underflowed: elements that rounding moved and left below 2^-14, the smallest normal number, in magnitude
 *   - zeroed: those of them that became 0
 *   - nan: NaN made of other numbers, which the engine turns into 0; of an input: NaN received, then infinite
 *   - nan_of_finite: those of them whose operands were all finite, of elementwise operations
 *   - sum_error: reduce_sum, reduce_mean and reduce_sum_square only: the greatest error of a sum that is rounded to
 *     fp16 after each addition, as a part of the sum of the magnitudes
 */
ANESDK_API int32_t anesdk_program_describe(const anesdk_program* program, const char* what, char* out,
                                           uint64_t capacity, uint64_t* needed);
/* Whether the runs so far of a program on cpu-fp16 went beyond float16, as flags: a sum of the numbers below. 0 for the
 * programs of other devices, which count nothing. "numerics" of anesdk_program_describe says where.
 *   ANESDK_OVERFLOWED  a result that float32 has, of finite operands, became infinite
 *   ANESDK_NOT_FINITE  finite operands made infinity or NaN, as the same operands do in float32 */
#define ANESDK_OVERFLOWED 1
#define ANESDK_NOT_FINITE 2
ANESDK_API int32_t anesdk_program_numerics(const anesdk_program* program, uint64_t* flags);
/* A profile of the CPU device: one event for each step of a plan that runs between start and stop, on any thread; the
 * events of a loop's body lie within the loop's own. "profile" of anesdk_program_describe tells the steps of a
 * program's plans, as JSON: {"plans": [{"id", "function", "arena_bytes", "workspace_bytes", "steps": [...]}]}, and of
 * each step what it is, the operations in it by their results' names, bytes read and written, bytes of the arena in
 * use, and the ids of the plans that it runs. Times are of the steady clock. */
typedef struct anesdk_event {
  uint64_t plan;
  uint32_t step;
  uint32_t thread; /* that ran the program: a number from 0 on */
  int64_t begin_ns;
  int64_t end_ns;
  int64_t busy_ns; /* what the pool's other threads worked meanwhile, added up */
} anesdk_event;
/* Forgets earlier events; those beyond the capacity are only counted. */
ANESDK_API int32_t anesdk_profile_start(uint64_t capacity);
ANESDK_API int32_t anesdk_profile_stop(uint64_t* events, uint64_t* dropped);
/* Writes the first `count` events at most, in the order in which they ended; written: how many. */
ANESDK_API int32_t anesdk_profile_read(anesdk_event* out, uint64_t count, uint64_t* written);
/* One synchronous run; thread-safe on one program. Byte counts must equal the ports' nbytes. An output whose port has
 * an alias must get that input's pointer; no other output may overlap an input. A loop whose condition stays true ends
 * only by its host.
 *
 * A failed run has written to nothing, unless its status is ANESDK_INTERRUPTED or ANESDK_BROKEN_OFF, or no input was
 * donated: then outputs may hold anything.
 *
 * input_contents and output_contents, both optional, name what each input holds and what each output will: a number
 * that stands for these contents, and for no others as long as the process lives; 0 says nothing. The engine does not
 * copy an input whose contents it has from an earlier run; other devices look at neither. */
ANESDK_API int32_t anesdk_program_run(const anesdk_program* program, const void* const* inputs,
                                      const uint64_t* input_nbytes, uint64_t num_inputs, void* const* outputs,
                                      const uint64_t* output_nbytes, uint64_t num_outputs,
                                      const uint64_t* input_contents, const uint64_t* output_contents);
/* anesdk_program_run for a host, with its arguments in one piece of memory of nbytes bytes, aligned to 8, because each
 * argument of a call costs some callers time. The memory has 64-bit words: the host, the program, num_inputs,
 * num_outputs, 1 if contents follow or 0; then input_nbytes, output_nbytes, inputs, outputs; then input_contents and
 * output_contents, if they follow. */
ANESDK_API int32_t anesdk_program_run_hosted(const char* call, uint64_t nbytes);

#ifdef __cplusplus
}
#endif
#endif /* ANESDK_H */
