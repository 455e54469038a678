// The C border as a caller meets it. Programs run on the null device; running is the CPU device's test.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "anesdk.h"
#include "check.h"
#include "print.h"

namespace {

using anesdk::test::one_op;

std::string last_error() { return anesdk_last_error(); }

void check_status(int32_t status, int32_t expected, const std::string& words = "") {
  CHECK_EQ(status, expected);
  if (expected != ANESDK_OK && last_error().find(words) == std::string::npos) CHECK_EQ(last_error(), words);
}

const std::string& valid_text() {
  static const std::string text = one_op("fp32[2,3] x, fp64 s", "fp32[2,3] o = aj_neg(x = x)");
  return text;
}

int32_t compile(const std::string& text, anesdk_program** out, const char* device = "null", const char* options = "") {
  return anesdk_program_compile(device, text.data(), text.size(), options, out);
}

TEST(status_names) {
  CHECK_EQ(anesdk_abi_version(), ANESDK_ABI_VERSION);
  CHECK_EQ(std::string(anesdk_status_name(ANESDK_PARSE_ERROR)), "ANESDK_PARSE_ERROR");
  CHECK_EQ(std::string(anesdk_status_name(12345)), "unknown status");
  CHECK(std::string(anesdk_devices()).ends_with("null"));
}

TEST(verify_at_the_border) {
  const std::string& text = valid_text();
  check_status(anesdk_verify(text.data(), text.size(), "cpu"), ANESDK_OK);
  check_status(anesdk_verify(text.data(), text.size(), "ane"), ANESDK_UNSUPPORTED, "rank 1 or more on the engine");
  check_status(anesdk_verify(text.data(), text.size(), "gpu"), ANESDK_INVALID_ARGUMENT, "target");
  check_status(anesdk_verify(text.data(), text.size() - 2, "cpu"), ANESDK_PARSE_ERROR, "expected 'func'");
  check_status(anesdk_verify(text.data(), 0, "cpu"), ANESDK_PARSE_ERROR, "1:1:");
  check_status(anesdk_verify(nullptr, 0, "cpu"), ANESDK_INVALID_ARGUMENT, "null");
  check_status(anesdk_verify(text.data(), text.size(), nullptr), ANESDK_INVALID_ARGUMENT, "null");
}

TEST(compile_errors) {
  anesdk_program* program = nullptr;
  check_status(compile(valid_text(), &program, "tpu"), ANESDK_UNKNOWN_DEVICE, "no device named tpu");
  check_status(compile(valid_text(), &program, "null", "donate=2"), ANESDK_INVALID_ARGUMENT, "below 2");
  check_status(compile(valid_text(), &program, "null", "donate=0,0"), ANESDK_INVALID_ARGUMENT, "twice");
  check_status(compile(valid_text(), &program, "null", "donate=x"), ANESDK_INVALID_ARGUMENT, "'x'");
  check_status(compile(valid_text(), &program, "null", "speed=9"), ANESDK_INVALID_ARGUMENT, "speed");
  check_status(compile(valid_text(), &program, "null", ";;"), ANESDK_INVALID_ARGUMENT, "donate");
  check_status(compile(valid_text(), &program, "null", nullptr), ANESDK_INVALID_ARGUMENT, "null");
  check_status(compile(valid_text(), &program, nullptr), ANESDK_INVALID_ARGUMENT, "null");
  check_status(compile(valid_text(), nullptr), ANESDK_INVALID_ARGUMENT, "null");
  check_status(compile("program", &program), ANESDK_PARSE_ERROR, "1:8");
  CHECK(program == nullptr);
}

TEST(ports_and_description) {
  anesdk_program* program = nullptr;
  check_status(compile(valid_text(), &program, "null", "donate=0,1"), ANESDK_OK);
  uint64_t inputs = 0, outputs = 0;
  check_status(anesdk_program_num_ports(program, &inputs, &outputs), ANESDK_OK);
  CHECK_EQ(inputs, 2u);
  CHECK_EQ(outputs, 1u);
  anesdk_port port;
  check_status(anesdk_program_port(program, 0, 0, &port), ANESDK_OK);
  CHECK_EQ(port.dtype, static_cast<int32_t>(ANESDK_DTYPE_FP32));
  CHECK_EQ(port.rank, 2);
  CHECK_EQ(port.shape[1], 3);
  CHECK_EQ(port.nbytes, 24u);
  CHECK_EQ(port.alias, -1);
  check_status(anesdk_program_port(program, 0, 1, &port), ANESDK_OK);
  CHECK_EQ(port.rank, 0);
  CHECK_EQ(port.nbytes, 8u);
  check_status(anesdk_program_port(program, 1, 1, &port), ANESDK_INVALID_ARGUMENT, "index");
  check_status(anesdk_program_port(program, 1, 0, nullptr), ANESDK_INVALID_ARGUMENT, "null");
  check_status(anesdk_program_num_ports(program, nullptr, &outputs), ANESDK_INVALID_ARGUMENT, "null");

  char text[8] = "???????";
  uint64_t needed = 0;
  check_status(anesdk_program_describe(program, "plan", nullptr, 0, &needed), ANESDK_OK);
  CHECK(needed > sizeof text);
  check_status(anesdk_program_describe(program, "plan", text, sizeof text, nullptr), ANESDK_OK);
  CHECK_EQ(std::strlen(text), sizeof text - 1);
  check_status(anesdk_program_describe(program, "price", text, sizeof text, nullptr), ANESDK_INVALID_ARGUMENT, "plan");
  check_status(anesdk_program_describe(program, nullptr, text, sizeof text, nullptr), ANESDK_INVALID_ARGUMENT);
  check_status(anesdk_program_describe(program, "plan", nullptr, 4, nullptr), ANESDK_INVALID_ARGUMENT);
  check_status(anesdk_program_release(&program), ANESDK_OK);
  CHECK(program == nullptr);
}

TEST(run_checks_its_buffers) {
  anesdk_program* program = nullptr;
  check_status(compile(valid_text(), &program), ANESDK_OK);
  alignas(64) char memory[256];
  const void* inputs[] = {memory, memory + 64};
  const uint64_t sizes[] = {24, 8};
  void* outputs[] = {memory + 128};
  const uint64_t output_sizes[] = {24};
  const auto run = [&] {
    return anesdk_program_run(program, inputs, sizes, 2, outputs, output_sizes, 1, nullptr, nullptr);
  };
  check_status(run(), ANESDK_UNSUPPORTED, "never runs");  // the null device got it: all checks passed
  inputs[1] = memory;
  check_status(run(), ANESDK_UNSUPPORTED, "never runs");  // inputs may overlap
  inputs[0] = memory + 1;
  check_status(run(), ANESDK_INVALID_ARGUMENT, "input 0 is not aligned");
  inputs[0] = nullptr;
  check_status(run(), ANESDK_INVALID_ARGUMENT, "input 0 is null");
  inputs[0] = memory + 120;
  check_status(run(), ANESDK_INVALID_ARGUMENT, "overlaps");
  inputs[0] = memory + 148;
  check_status(run(), ANESDK_INVALID_ARGUMENT, "overlaps");
  inputs[0] = memory + 152;
  check_status(run(), ANESDK_UNSUPPORTED, "never runs");
  const uint64_t wrong[] = {24, 4};
  check_status(anesdk_program_run(program, inputs, wrong, 2, outputs, output_sizes, 1, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT, "input 1 takes 8 bytes, got 4");
  check_status(anesdk_program_run(program, inputs, sizes, 1, outputs, output_sizes, 1, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT, "number of inputs");
  check_status(anesdk_program_run(program, inputs, sizes, 2, outputs, output_sizes, 0, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT, "number of outputs");
  check_status(anesdk_program_run(program, nullptr, sizes, 2, outputs, output_sizes, 1, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT);
  check_status(anesdk_program_run(program, inputs, sizes, 2, outputs, nullptr, 1, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT);
  check_status(anesdk_program_release(&program), ANESDK_OK);
}

TEST(outputs_may_not_overlap) {
  anesdk_program* program = nullptr;
  check_status(compile(one_op("fp32[2] x",
                              "fp32[1] o, fp32[1] p = split(axis = int32(0), num_splits = int32(2), x = x)", "o, p"),
                       &program),
               ANESDK_OK);
  alignas(64) char memory[64];
  const void* inputs[] = {memory};
  const uint64_t sizes[] = {8}, output_sizes[] = {4, 4};
  void* outputs[] = {memory + 16, memory + 16};
  check_status(anesdk_program_run(program, inputs, sizes, 1, outputs, output_sizes, 2, nullptr, nullptr),
               ANESDK_INVALID_ARGUMENT, "overlaps");
  outputs[1] = memory + 20;
  check_status(anesdk_program_run(program, inputs, sizes, 1, outputs, output_sizes, 2, nullptr, nullptr),
               ANESDK_UNSUPPORTED);
  check_status(anesdk_program_release(&program), ANESDK_OK);
}

TEST(program_handles) {
  anesdk_program* program = nullptr;
  check_status(compile(valid_text(), &program), ANESDK_OK);
  anesdk_program* stale = program;
  check_status(anesdk_program_release(&program), ANESDK_OK);
  check_status(anesdk_program_release(&program), ANESDK_INVALID_HANDLE, "not a live program handle");
  check_status(anesdk_program_release(&stale), ANESDK_INVALID_HANDLE);
  check_status(anesdk_program_release(nullptr), ANESDK_INVALID_ARGUMENT);
  anesdk_program* next = nullptr;
  check_status(compile(valid_text(), &next), ANESDK_OK);
  CHECK(next != stale);  // the slot is used again, the handle is not
  uint64_t inputs = 0, outputs = 0;
  check_status(anesdk_program_num_ports(stale, &inputs, &outputs), ANESDK_INVALID_HANDLE);
  uint64_t size = 8;
  anesdk_buffer* buffer = nullptr;
  void* data = nullptr;
  check_status(anesdk_buffers_create(1, &size, &buffer, &data), ANESDK_OK);
  check_status(anesdk_program_num_ports(reinterpret_cast<anesdk_program*>(buffer), &inputs, &outputs),
               ANESDK_INVALID_HANDLE);
  check_status(anesdk_program_num_ports(static_cast<anesdk_program*>(data), &inputs, &outputs), ANESDK_INVALID_HANDLE);
  for (const uintptr_t made_up : {uintptr_t{1}, uintptr_t{2}, ~uintptr_t{0}, uintptr_t{1} << 32})
    check_status(anesdk_program_num_ports(reinterpret_cast<anesdk_program*>(made_up), &inputs, &outputs),
                 ANESDK_INVALID_HANDLE);
  check_status(anesdk_buffers_release(1, &buffer), ANESDK_OK);
  check_status(anesdk_program_release(&next), ANESDK_OK);
}

TEST(buffer_handles) {
  const std::vector<uint64_t> sizes = {0, 1, 64, 65, 4096, 1000000, 5000000};
  std::vector<anesdk_buffer*> handles(sizes.size());
  std::vector<void*> data(sizes.size());
  check_status(anesdk_buffers_create(sizes.size(), sizes.data(), handles.data(), data.data()), ANESDK_OK);
  for (size_t i = 0; i < sizes.size(); ++i) {
    CHECK(data[i] != nullptr);
    CHECK_EQ(reinterpret_cast<uintptr_t>(data[i]) % 64, 0u);
    std::memset(data[i], 0x5A, sizes[i]);
  }
  anesdk_buffer* stale = handles[3];
  check_status(anesdk_buffers_release(handles.size(), handles.data()), ANESDK_OK);
  for (const anesdk_buffer* handle : handles) CHECK(handle == nullptr);
  check_status(anesdk_buffers_release(1, &stale), ANESDK_INVALID_HANDLE);
  check_status(anesdk_buffers_release(1, &handles[0]), ANESDK_INVALID_HANDLE);
  check_status(anesdk_buffers_release(1, nullptr), ANESDK_INVALID_ARGUMENT);
  check_status(anesdk_buffers_create(0, nullptr, nullptr, nullptr), ANESDK_OK);
  check_status(anesdk_buffers_create(1, sizes.data(), nullptr, data.data()), ANESDK_INVALID_ARGUMENT);
  const uint64_t huge[] = {64, UINT64_MAX};
  check_status(anesdk_buffers_create(2, huge, handles.data(), data.data()), ANESDK_OUT_OF_MEMORY);
  CHECK(handles[0] == nullptr);  // all or nothing
}

TEST(threads_of_the_pool) {
  int32_t count = 0;
  check_status(anesdk_num_threads(&count), ANESDK_OK);
  CHECK(count >= 1);
  for (const int32_t bad : {0, -1, 257, INT32_MAX})
    check_status(anesdk_set_num_threads(bad), ANESDK_INVALID_ARGUMENT, "1 .. 256");
  check_status(anesdk_set_num_threads(count), ANESDK_OK);
  check_status(anesdk_num_threads(nullptr), ANESDK_INVALID_ARGUMENT);
  CHECK(anesdk_load_blas("/no/such/library") != ANESDK_OK);
  CHECK(!last_error().empty());
}

TEST(errors_are_of_their_thread) {
  check_status(anesdk_verify("x", 1, "cpu"), ANESDK_PARSE_ERROR);
  const std::string before = last_error();
  std::thread([] { CHECK_EQ(last_error(), ""); }).join();
  std::thread([] { anesdk_verify(nullptr, 0, "cpu"); }).join();
  CHECK_EQ(last_error(), before);
}

// Creation, use and release of programs and buffers from several threads, with releases during use.
TEST(concurrent_handles) {
  std::atomic<int> wrong{0};
  anesdk_program* shared = nullptr;
  check_status(compile(valid_text(), &shared), ANESDK_OK);
  const auto work = [&](int seed) {
    for (int i = 0; i < 200; ++i) {
      uint64_t inputs = 0, outputs = 0;
      const int32_t status = anesdk_program_num_ports(shared, &inputs, &outputs);
      wrong += status != ANESDK_OK && status != ANESDK_INVALID_HANDLE;
      const uint64_t sizes[] = {static_cast<uint64_t>(seed * i), 128, 70000};
      anesdk_buffer* handles[3];
      void* data[3];
      wrong += anesdk_buffers_create(3, sizes, handles, data) != ANESDK_OK;
      for (int b = 0; b < 3; ++b) std::memset(data[b], seed, sizes[b]);
      for (anesdk_buffer*& handle : handles) wrong += anesdk_buffers_release(1, &handle) != ANESDK_OK;
      if (seed == 1 && i == 100) {
        anesdk_program* own = shared;
        wrong += anesdk_program_release(&own) != ANESDK_OK;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

// A child must not inherit a lock that a thread of its parent held.
TEST(forks_while_others_work) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      const uint64_t size = 64;
      anesdk_buffer* buffer;
      void* data;
      anesdk_buffers_create(1, &size, &buffer, &data);
      anesdk_buffers_release(1, &buffer);
    }
  });
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(10);  // a deadlock ends the child by a signal
      const uint64_t size = 64;
      anesdk_buffer* buffer;
      void* data;
      const bool worked = anesdk_buffers_create(1, &size, &buffer, &data) == ANESDK_OK &&
                          anesdk_buffers_release(1, &buffer) == ANESDK_OK;
      _exit(worked ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
  stop = true;
  busy.join();
}

}  // namespace
