// The engine device against the stand-in Espresso: programs agree with the CPU device, and every fault that can be
// injected ends as a clear error after which the engine works on.
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "anesdk.h"
#include "check.h"
#include "engine_bench.h"
#include "hosted_call.h"
#include "mil/literal.h"
#include "mil/parser.h"
#include "mil/verify.h"
#include "print.h"

namespace {

using namespace anesdk;
using namespace anesdk::test;
using std::chrono::milliseconds;

double value(uint16_t bits) { return mil::decode_real(mil::DType::FP16, reinterpret_cast<const std::byte*>(&bits)); }

// An engine of its own, checked at its end: no rule broken and, unless `leaks`, nothing left alive.
struct Bench {
  Folder folder;
  ane::Settings settings;
  ane::Limits limits = kQuick;
  std::unique_ptr<ane::Engine> engine;
  bool leaks = false;

  Bench() : settings(quick_settings(folder)) { reset_stand_in(); }
  ~Bench() {
    engine.reset();
    CHECK_EQ(broken_rules(), "");
    if (!leaks) CHECK_EQ(live_objects(), 0u);
    reset_stand_in();
  }
  ane::Engine& get() {
    if (!engine) engine = std::make_unique<ane::Engine>(stand_in(), settings);
    return *engine;
  }
  std::string compile_error(const std::string& text) {
    return error_of([&] { compile(get(), text, limits); });
  }
  void check_works() {
    const auto program = compile(get(), chain(2));
    const auto inputs = random_inputs(program->inputs());
    const Bits out = run(*program, inputs)[0];
    for (size_t i = 0; i < out.size(); ++i) CHECK(std::fabs(value(out[i]) - 3 * value(inputs[0][i])) < 0x1p-8);
  }
};

// ---- programs

#ifdef ANESDK_HAS_CPU
struct Compiled {
  anesdk_program* handle = nullptr;
  Compiled(const char* device, const std::string& text) {
    if (anesdk_program_compile(device, text.data(), text.size(), "", &handle) != ANESDK_OK)
      CHECK_EQ(std::string(anesdk_last_error()), "");
  }
  ~Compiled() { anesdk_program_release(&handle); }

  std::vector<Bits> run(const std::vector<Bits>& inputs) const {
    uint64_t ins = 0, outs = 0;
    anesdk_program_num_ports(handle, &ins, &outs);
    std::vector<Bits> outputs(outs);
    std::vector<const void*> from;
    std::vector<void*> to;
    std::vector<uint64_t> from_bytes, to_bytes;
    for (const Bits& input : inputs) from.push_back(input.data()), from_bytes.push_back(input.size() * 2);
    for (uint64_t o = 0; o < outs; ++o) {
      anesdk_port port{};
      CHECK_EQ(anesdk_program_port(handle, 1, o, &port), ANESDK_OK);
      outputs[o].resize(port.nbytes / 2);
      to.push_back(outputs[o].data()), to_bytes.push_back(port.nbytes);
    }
    if (anesdk_program_run(handle, from.data(), from_bytes.data(), ins, to.data(), to_bytes.data(), outs, nullptr,
                           nullptr) != ANESDK_OK)
      CHECK_EQ(std::string(anesdk_last_error()), "");
    return outputs;
  }
};

// The largest difference, in units of the largest value's fp16 spacing.
double distance(const Bits& a, const Bits& b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::fabs(value(a[i]) - value(b[i])));
    largest = std::max(largest, std::fabs(value(b[i])));
  }
  return worst / (std::max(largest, 1e-4) * 0x1p-11);
}

// The whole way, C border included, on the process's own engine.
TEST(engine_agrees_with_the_cpu_device) {
  const Folder folder;
  ::setenv("ANEJAX_ESPRESSO", stand_in_path().c_str(), 1);
  ::setenv("ANEJAX_CACHE", folder.path().c_str(), 1);
  reset_stand_in();
  for (const char* name : {"mlp_forward", "mlp_backward"}) {
    const std::string text = golden(name);
    const Compiled engine("ane", text), cpu("cpu", text);
    const mil::Program program = mil::parse(text);
    std::vector<ane::Port> ports;
    const mil::Function& main = program.functions[0];
    for (const mil::ValueId id : main.inputs) ports.push_back({main.values[id].name, main.values[id].type});
    const auto inputs = random_inputs(ports);
    const auto got = engine.run(inputs), expected = cpu.run(inputs);
    CHECK_EQ(got.size(), main.outputs.size());
    for (size_t o = 0; o < got.size(); ++o) CHECK(distance(got[o], expected[o]) < 8);
    CHECK(std::filesystem::exists(folder.path() / "programs"));
  }
  CHECK_EQ(broken_rules(), "");
  CHECK_EQ(live_objects(), 0u);
  reset_stand_in();
}

#endif

TEST(engine_is_a_device) {
  CHECK(std::string(anesdk_devices()).ends_with("ane,null"));
  const std::string text = chain(1);
  anesdk_program* program = nullptr;
  CHECK_EQ(anesdk_program_compile("ane", text.data(), text.size(), "donate=1", &program), ANESDK_INVALID_ARGUMENT);
}

TEST(engine_puts_large_constants_into_the_weight_file) {
  Bench bench;
  std::string list;
  for (int i = 0; i < 100; ++i) list += (i ? ", 0x" : "0x") + std::to_string(i % 10) + "p+0";
  const std::string type = "tensor<fp16, [100]>";
  const auto program =
      compile(bench.get(), "program(1.3)\n{ func main<ios18>(" + type + " x) { " + type +
                               " o = add(x = x, y = " + type + "([" + list + "]))[name = string(\"o\")]; } -> (o); }");
  const Bits out = run(*program, {Bits(100, 0)})[0];
  for (int i = 0; i < 100; ++i) CHECK_EQ(value(out[static_cast<size_t>(i)]), i % 10);
  bool found = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(bench.folder.path()))
    found |= entry.path().filename() == "weights.bin" && entry.file_size() == 64 + 64 + 256;
  CHECK(found);
}

TEST(engine_runs_from_threads) {
  Bench bench;
  const auto program = compile(bench.get(), golden("mlp_backward"));
  const auto inputs = random_inputs(program->inputs());
  const auto expected = run(*program, inputs);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 4; ++i) equal += run(*program, inputs) == expected;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(equal.load(), 32);
}

// The numbers of the stand-in are its own; they must be those of the format all the same.
TEST(engine_stand_in_has_the_numbers_of_fp16) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const double expected = value(half), got = standin::half_value(half);
    CHECK(got == expected || (std::isnan(got) && std::isnan(expected)));
    if (!std::isnan(got)) CHECK_EQ(standin::half_bits(got), half);
  }
  CHECK_EQ(standin::round_half(1 + 0x1p-11), 1);  // halfway: to even
  CHECK_EQ(standin::round_half(1 + 0x1.8p-10), 1 + 0x1p-9);
  CHECK_EQ(standin::round_half(65519), 65504);
  CHECK(std::isinf(standin::round_half(65520)));
  CHECK_EQ(standin::round_half(0x1.8p-25), 0x1p-24);
  CHECK_EQ(standin::round_half(0x1p-25), 0);
}

// ---- keeping programs

TEST(engine_unloads_what_was_used_longest_ago) {
  Bench bench;
  bench.settings.max_loaded = 3;
  const Fault limit("limit:3");
  std::vector<std::unique_ptr<ane::EngineProgram>> programs;
  for (int n = 1; n <= 5; ++n) programs.push_back(compile(bench.get(), chain(n)));
  for (int round = 0; round < 2; ++round)
    for (size_t n = 0; n < programs.size(); ++n) {
      const auto inputs = random_inputs(programs[n]->inputs());
      const auto outputs = run(*programs[n], inputs);
      CHECK(std::fabs(value(outputs[0][0]) - static_cast<double>(n + 2) * value(inputs[0][0])) < 0.02);
    }
  CHECK_EQ(count_of("compile"), 5u);
  CHECK_EQ(count_of("cached"), 10u);  // five programs in turn, room for three: each run loads anew
  CHECK_SAYS(programs[0]->stats(), "\"loaded\": false");
  CHECK_SAYS(programs[4]->stats(), "\"compiles\": 1");
}

TEST(engine_makes_room_where_the_limit_is_lower_than_known) {
  Bench bench;
  const Fault limit("limit:2");
  for (int round = 0; round < 2; ++round)
    for (int n = 1; n <= 4; ++n) {
      const auto one = compile(bench.get(), chain(n)), other = compile(bench.get(), chain(5)),
                 third = compile(bench.get(), chain(6));
      CHECK_EQ(run(*one, random_inputs(one->inputs())).size(), 1u);
    }
}

// A pool of 15 distinct programs: the sixteenth is refused once, and the number is kept to from then on.
TEST(engine_learns_how_many_programs_fit) {
  Bench bench;
  const Fault fault("programs:15");
  std::vector<std::unique_ptr<ane::EngineProgram>> programs;
  for (int n = 1; n <= 18; ++n) programs.push_back(compile(bench.get(), chain(n)));
  CHECK_SAYS(programs[0]->stats(), "\"room\": 15, \"loaded\": false");
  CHECK_EQ(count_of("cached"), 1u);  // the sixteenth, again
  for (const auto& program : programs) CHECK_EQ(run(*program, random_inputs(program->inputs())).size(), 1u);
  for (const auto& program : programs) CHECK_SAYS(program->stats(), "\"compiles\": 1");
  CHECK_EQ(count_of("compile"), 18u);
}

TEST(engine_says_that_it_is_full) {
  Bench bench;
  const Fault limit("limit:0");
  CHECK_SAYS(bench.compile_error(chain(2)), "must re-compile");
}

TEST(engine_keeps_compiled_programs_on_disk) {
  Bench bench;
  const auto compile_again = [&](uint64_t compiles, uint64_t cached) {
    bench.engine.reset();
    reset_stand_in();
    compile(bench.get(), chain(3));
    CHECK_EQ(count_of("compile"), compiles);
    CHECK_EQ(count_of("cached"), cached);
  };
  compile_again(1, 0);
  compile_again(0, 1);
  bench.settings.environment = "another system";
  compile_again(1, 0);
  compile_again(0, 1);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(bench.folder.path()))
    if (entry.path().filename() == "model.mil" && entry.path().parent_path().parent_path() == bench.folder.path())
      std::ofstream(entry.path(), std::ios::app) << "tampered";
  compile_again(1, 0);
  bench.settings.max_bytes = 1;  // only what is in use stays
  bench.engine.reset();
  reset_stand_in();
  compile(bench.get(), chain(4));
  const auto folders = [&] {
    const std::filesystem::directory_iterator all(bench.folder.path());
    return std::count_if(begin(all), end(all), [](const auto& entry) { return entry.is_directory(); });
  };
  CHECK_EQ(folders(), 1);
}

// ---- contents

// A program of one input, given what it holds each time; says whether the engine took the data.
struct Given {
  Bench& bench;
  std::unique_ptr<ane::EngineProgram> program = compile(bench.get(), chain(1));
  uint16_t next = 0x3c00;

  bool copied(uint64_t contents) {
    const uint64_t before = count();
    const Bits data(16, ++next);
    const Bits out = run(*program, {data}, &contents)[0];
    const bool copied = out[0] == static_cast<uint16_t>(next + 0x400);
    CHECK_EQ(count() - before, copied ? 1u : 0u);
    return copied;
  }
  uint64_t count() const {
    const std::string stats = program->stats();
    return std::stoull(stats.substr(stats.find("\"copied\": ") + 10));
  }
};

TEST(engine_copies_no_input_that_it_has) {
  Bench bench;
  Given given{bench};
  CHECK(given.copied(7));
  CHECK(!given.copied(7));
  CHECK(given.copied(8));
  CHECK(!given.copied(8));
  CHECK(given.copied(7));
  CHECK(given.copied(0));
  CHECK(given.copied(0));
  CHECK(given.copied(7));
  CHECK_SAYS(given.program->stats(), "\"kept\": 2, \"kept_bytes\": 64");
}

TEST(engine_forgets_what_it_had) {
  Bench bench;
  bench.settings.max_loaded = 1;
  Given given{bench};
  CHECK(given.copied(7));
  bench.check_works();  // unloads it
  CHECK(given.copied(7));
  for (const char* what : {"execute:lost", "execute:zeros", "e5rt_execution_stream_execute_sync:2"}) {
    {
      const Fault fault(what);
      CHECK(!error_of([&] { given.copied(7); }).empty());
    }
    CHECK(given.copied(7));
    CHECK(!given.copied(7));
  }
}

TEST(engine_keeps_no_input_that_a_run_changes) {
  Bench bench;
  const Fault fault("execute:scribble");
  Given given{bench};
  for (int i = 0; i < 3; ++i) CHECK(given.copied(7));
}

// Runs the accumulator, whose state outside is `outside` each time; returns what the last run made of it. A number
// below 100 names each state, and 100 what is added.
double accumulated(const ane::EngineProgram& program, int first, int last) {
  Bits state(64, 0);
  for (int i = first; i <= last; ++i) {
    const uint64_t holds[] = {static_cast<uint64_t>(i), 100}, makes[] = {static_cast<uint64_t>(i) + 1};
    state = run(program, {i == first ? state : Bits(64, 0x7bff), Bits(64, 0x3c00)}, holds, makes)[0];
  }
  return value(state[63]);
}

TEST(engine_keeps_state_in_a_shared_buffer) {
  Bench bench;
  const auto program = compile(bench.get(), accumulator(), kQuick, kResident);
  CHECK_EQ(accumulated(*program, 1, 4), 4);
  CHECK_SAYS(program->plan(), "input s: tensor<fp16, [1, 64]>, in the buffer of o");
  CHECK_SAYS(program->stats(), "\"copied\": 2, \"copied_bytes\": 256, \"kept\": 6, \"kept_bytes\": 768");
  CHECK_EQ(accumulated(*program, 50, 52), 3);  // another state comes in
  {
    const Fault fault("execute:zeros");
    CHECK(!error_of([&] { accumulated(*program, 53, 53); }).empty());
  }
  CHECK_EQ(accumulated(*program, 53, 53), 1);  // nothing is left of what failed
}

TEST(engine_shares_buffers_of_one_type_alone) {
  Bench bench;
  const std::string text =
      one_op("fp16[2,3] x", "fp16[2] o = reduce_max(axes = {1}, keep_dims = bool(false), x = x)", "o");
  CHECK_SAYS(error_of([&] { compile(bench.get(), text, kQuick, kResident); }), "cannot share a buffer");
}

// ---- faults

TEST(engine_survives_every_failing_call) {
#define ANESDK_E5RT_NAME(member, symbol, ...) symbol,
  const std::vector<std::string> functions = {ANESDK_E5RT_REQUIRED(ANESDK_E5RT_NAME)};
#undef ANESDK_E5RT_NAME
  for (const std::string& function : functions)
    for (const char* kind : {"3", "throw", "throw_int", "throw_foreign"}) {
      Bench bench;
      const bool is_release = function.ends_with("_release");
      bench.leaks = is_release;
      std::string error;
      {
        const Fault fault(function + ":" + kind);
        error = error_of([&] {
          const auto program = compile(bench.get(), chain(1));
          run(*program, random_inputs(program->inputs()));
        });
      }
      if (is_release) {
        CHECK_EQ(error, "");
      } else {
        CHECK_SAYS(error, function);
        const std::string what(kind);
        CHECK_SAYS(error, what == "3"       ? "allocation failed"
                          : what == "throw" ? "injected"
                                            : (what == "throw_int" ? "of type int" : "ForeignError"));
      }
      bench.check_works();
    }
}

TEST(engine_tells_what_the_compiler_wrote) {
  Bench bench;
  {
    const Fault fault("e5rt_e5_compiler_compile:stderr");
    CHECK_SAYS(bench.compile_error(chain(1)), "matmul not supported on any backend");
  }
  CHECK_SAYS(bench.compile_error(chain(1)), "matmul not supported on any backend");  // remembered, not asked again
  CHECK_EQ(count_of("compile"), 0u);
  bench.check_works();
}

TEST(engine_tells_the_last_error) {
  Bench bench;
  {
    const Fault fault("e5rt_io_port_bind_buffer_object:2");
    CHECK_SAYS(bench.compile_error(chain(1)), "its last error: E5RT status 2");
  }
  ane::Symbols symbols = stand_in();
  symbols.port_bind.last_error = nullptr;  // a system without it
  bench.engine.reset();
  reset_stand_in();
  bench.engine = std::make_unique<ane::Engine>(symbols, bench.settings);
  const Fault fault("e5rt_io_port_bind_buffer_object:2");
  CHECK(bench.compile_error(chain(1)).ends_with("no longer has"));
}

// Whoever looks after the process finds its last words.
TEST(engine_leaves_what_was_written_before_an_abort) {
  Bench bench;
  std::string words;
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("TMPDIR", bench.folder.path().c_str(), 1);
    const Fault fault("e5rt_e5_compiler_compile:abort");
    bench.compile_error(chain(1));
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder.path()))
    if (entry.path().filename().string().starts_with("anejax-stderr-" + std::to_string(child) + "-"))
      words = read_file(entry.path().string());
  CHECK_SAYS(words, "terminating due to uncaught exception");
}

// As on a Mac, where other threads than the first have 512 KiB.
TEST(engine_has_a_stack_of_8_mebibytes) {
#ifdef __GLIBC__
  pthread_attr_t before, small, found;
  CHECK_EQ(::pthread_getattr_default_np(&before), 0);
  ::pthread_attr_init(&small);
  ::pthread_attr_setstacksize(&small, size_t{512} << 10);
  CHECK_EQ(::pthread_setattr_default_np(&small), 0);
  size_t bytes = 0;
  {
    ane::Worker worker;
    worker.call("looking", std::chrono::seconds(20), [&] {
      ::pthread_getattr_np(::pthread_self(), &found);
      ::pthread_attr_getstacksize(&found, &bytes);
      ::pthread_attr_destroy(&found);
    });
  }
  CHECK_EQ(bytes, size_t{8} << 20);
  ::pthread_setattr_default_np(&before);
  ::pthread_attr_destroy(&small);
  ::pthread_attr_destroy(&before);
#endif
}

TEST(engine_waits_after_a_failed_compile) {
  Bench bench;
  bench.limits.backoff = milliseconds(120);
  {
    const Fault fault("e5rt_e5_compiler_compile:1");
    CHECK_SAYS(bench.compile_error(chain(1)), "gave no reason");
  }
  const auto start = std::chrono::steady_clock::now();
  compile(bench.get(), chain(1));
  CHECK(std::chrono::steady_clock::now() - start > milliseconds(100));
}

TEST(engine_does_not_hang) {
  Bench bench;
  bench.limits.compile_limit = bench.limits.run_limit = milliseconds(400);
  {
    const Fault fault("e5rt_e5_compiler_compile:hang");
    CHECK_SAYS(bench.compile_error(chain(1)), "compiling took longer than 0.4");
    CHECK_SAYS(bench.compile_error(chain(1)), "has not returned");
  }
  std::this_thread::sleep_for(milliseconds(1000));
  const auto program = compile(bench.get(), chain(1), bench.limits);
  const auto inputs = random_inputs(program->inputs());
  {
    const Fault fault("e5rt_execution_stream_execute_sync:hang");
    CHECK_SAYS(error_of([&] { run(*program, inputs); }), "running a program took longer");
    CHECK_SAYS(error_of([&] { run(*program, inputs); }), "has not returned");
  }
  std::this_thread::sleep_for(milliseconds(1000));
  CHECK_EQ(run(*program, inputs).size(), 1u);
}

TEST(engine_notices_outputs_that_were_not_written) {
  Bench bench;
  const auto program = compile(bench.get(), chain(1));
  const auto inputs = random_inputs(program->inputs());
  {
    const Fault fault("execute:untouched");
    CHECK_SAYS(error_of([&] { run(*program, inputs); }), "left 16 of 16 elements of output y0 unwritten");
  }
  CHECK_EQ(run(*program, inputs).size(), 1u);
}

// Rows of 8 elements that take 64 bytes each, read and written where they are.
TEST(engine_copies_by_the_strides_of_ports) {
  Bench bench;
  const Fault fault("strides:padded");
  for (const int width : {1, 7, 32, 33}) {
    const auto program = compile(bench.get(), chain(2, width));
    const auto inputs = random_inputs(program->inputs());
    for (int round = 0; round < 2; ++round) {
      const Bits out = run(*program, inputs)[0];
      for (size_t i = 0; i < out.size(); ++i) CHECK(std::fabs(value(out[i]) - 3 * value(inputs[0][i])) < 0x1p-8);
    }
  }
  const auto state = compile(bench.get(), accumulator(), kQuick, kResident);
  CHECK_EQ(accumulated(*state, 1, 4), 4);
}

TEST(engine_notices_unwritten_elements_between_padding) {
  Bench bench;
  std::unique_ptr<ane::EngineProgram> program;
  {
    const Fault padded("strides:padded");
    program = compile(bench.get(), chain(1));
  }
  const auto inputs = random_inputs(program->inputs());
  {
    const Fault fault("execute:untouched");
    CHECK_SAYS(error_of([&] { run(*program, inputs); }), "left 16 of 16 elements of output y0 unwritten");
  }
}

TEST(engine_layouts) {
  const mil::Type type{mil::DType::FP16, {2, 3, 4}};
  std::vector<uint16_t> array(24), back(24), memory(200);
  for (size_t i = 0; i < array.size(); ++i) array[i] = static_cast<uint16_t>(i + 1);
  const auto bytes = [](auto& values) { return reinterpret_cast<std::byte*>(values.data()); };
  const std::vector<std::vector<size_t>> kept = {{24, 8, 2}, {64, 16, 2}, {24, 8, 2}, {48, 16, 4}, {100, 8, 2}};
  for (const auto& strides : kept) {
    ane::Layout layout(type);
    CHECK(layout.set_strides(strides.data()));
    CHECK_EQ(layout.dense(), strides == kept[0]);
    CHECK_EQ(layout.bytes(), strides[0] * 2);
    std::fill(memory.begin(), memory.end(), uint16_t{0});
    layout.scatter(bytes(array), bytes(memory));
    layout.gather(bytes(memory), bytes(back));
    CHECK(back == array);
    for (size_t i = 0; i < 2; ++i)
      for (size_t j = 0; j < 3; ++j)
        for (size_t k = 0; k < 4; ++k)
          CHECK_EQ(memory[(i * strides[0] + j * strides[1] + k * strides[2]) / 2], array[(i * 3 + j) * 4 + k]);
  }
  const std::vector<std::vector<size_t>> refused = {{24, 8, 0}, {24, 6, 2}, {8, 24, 2},          {24, 8, 3},
                                                    {25, 8, 2}, {16, 8, 2}, {SIZE_MAX - 1, 8, 2}};
  for (const auto& strides : refused) CHECK(!ane::Layout(type).set_strides(strides.data()));
}

TEST(engine_refuses_another_backend_and_ports_in_disorder) {
  Bench bench;
  {
    const Fault fault("place:bnns");
    CHECK_SAYS(bench.compile_error(chain(1)), "placed on bnns");
  }
  {
    const Fault fault("strides:overlapping");
    CHECK_SAYS(bench.compile_error(chain(2)), "strides in bytes [2, 2]");
  }
  CHECK_SAYS(bench.compile_error(chain(1)), "placed on bnns");  // remembered
  bench.settings.environment = "another system";
  bench.engine.reset();
  bench.check_works();
}

TEST(engine_needs_macos_15) {
  for (const char* version : {"", "15", "15.0", "26.2", "27.0.1"}) ane::check_system(version);
  for (const char* version : {"14.6.1", "13.0", "14"})
    CHECK_SAYS(error_of([&] { ane::check_system(version); }),
               "from version 15 on; this is macOS " + std::string(version));
}

// An older system's compiler, in words of the stand-in's.
TEST(engine_says_that_an_opset_is_not_known) {
  Bench bench;
  const Fault fault("opset:ios17");
  CHECK_SAYS(bench.compile_error(chain(1)), "ios18 is not an opset of this system");
}

TEST(engine_names_what_is_missing) {
  CHECK_SAYS(error_of([] { ane::load_symbols("/no/such/Espresso"); }), "/no/such/Espresso cannot be opened");
  CHECK_SAYS(error_of([] { ane::load_symbols("libm.so.6"); }), "e5rt_execution_stream_encode_operation");
  ane::Symbols symbols = stand_in();
  symbols.port_retain_desc.address = nullptr;  // an optional one
  Bench bench;
  bench.engine = std::make_unique<ane::Engine>(symbols, bench.settings);
  bench.check_works();
}

TEST(engine_takes_back_no_stale_program) {
  Bench bench;
  compile(bench.get(), chain(3));
  bench.engine.reset();
  reset_stand_in();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(bench.folder.path()))
    if (entry.path().extension() == ".bundle") std::ofstream(entry.path() / "stale");
  CHECK_EQ(run(*compile(bench.get(), chain(3)), random_inputs({{"x", {mil::DType::FP16, {2, 8}}}})).size(), 1u);
  CHECK_EQ(count_of("compile"), 1u);  // refused once, compiled anew at once
}

// The system's store of compiled programs is emptied within a day, and the bundle on disk refers to nothing then.
TEST(engine_compiles_again_where_the_store_was_emptied) {
  Bench bench;
  const auto inputs = random_inputs({{"x", {mil::DType::FP16, {2, 8}}}});
  const Bits expected = run(*compile(bench.get(), chain(3)), inputs)[0];
  for (int day = 0; day < 2; ++day) {
    bench.engine.reset();
    reset_stand_in();
    const Fault fault("store:forgets");
    const auto program = compile(bench.get(), chain(3));
    CHECK(run(*program, inputs)[0] == expected);
    CHECK_EQ(count_of("cached"), 1u);
    CHECK_EQ(count_of("compile"), 1u);
    CHECK_SAYS(program->stats(), "\"loads\": 1, \"compiles\": 1");
  }
}

// Refused once though it was just compiled: it is compiled anew, and nobody else notices.
TEST(engine_survives_a_refused_operation) {
  Bench bench;
  const Fault fault("create:1");
  const auto program = compile(bench.get(), chain(3));
  const auto inputs = random_inputs(program->inputs());
  CHECK(std::fabs(value(run(*program, inputs)[0][0]) - 4 * value(inputs[0][0])) < 0x1p-7);
  CHECK_EQ(count_of("refused"), 1u);
}

TEST(engine_says_that_every_operation_is_refused) {
  Bench bench;
  const Fault fault("create:1000");
  const std::string error = bench.compile_error(chain(3));
  CHECK_SAYS(error, "answered 13, must re-compile");
  CHECK_SAYS(error, "it wrote: ANE model load has failed for on-device compiled macho.");
}

TEST(engine_says_that_no_program_is_taken_back) {
  Bench bench;
  const auto other = compile(bench.get(), chain(1));
  compile(bench.get(), chain(2));
  const std::string function(stand_in().operation_create.name);
  {
    const Fault fault(function + ":13");
    CHECK_SAYS(bench.compile_error(chain(2)), function + " answered 13, must re-compile");
  }
  CHECK_SAYS(other->stats(), "\"loaded\": false");  // it gave way
  CHECK_EQ(count_of("compile"), 4u);                // of chain(2) twice more, not for each attempt
  bench.check_works();
}

TEST(engine_tells_what_a_failed_load_wrote) {
  Bench bench;
  const Fault limit("limit:0");
  CHECK_SAYS(bench.compile_error(chain(2)), "it wrote: ANE model load has failed for on-device compiled macho.");
}

// ---- several at once

TEST(engine_programs_are_locked_one_by_one) {
  Bench bench;
  compile(bench.get(), chain(1));
  compile(bench.get(), chain(2));
  std::vector<std::filesystem::path> locks;
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder.path()))
    if (entry.path().extension() == ".lock") locks.push_back(entry.path());
  CHECK_EQ(locks.size(), 2u);
  bench.engine.reset();
  reset_stand_in();
  const ane::FileLock held(locks[0], milliseconds(0));
  bench.limits.compile_limit = milliseconds(50);
  const std::string first = bench.compile_error(chain(1)), second = bench.compile_error(chain(2));
  CHECK_EQ(first.empty() + second.empty(), 1);  // one of them waits for the lock, in vain
  CHECK_SAYS(first + second, "has been compiling this program for 0.05");
}

// Another process compiles for longer than any limit of ours for a lock was, and ends: its program is taken from disk.
TEST(engine_waits_for_whoever_compiles_the_same_program) {
  Bench bench;
  const auto lock_file = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(bench.folder.path()))
      if (entry.path().extension() == ".lock") return entry.path();
    return std::filesystem::path();
  };
  compile(bench.get(), chain(1));
  auto lock = std::make_unique<ane::FileLock>(lock_file(), milliseconds(0));
  std::thread ends([&] {
    std::this_thread::sleep_for(milliseconds(100));
    lock.reset();
  });
  compile(bench.get(), chain(1));
  ends.join();
  CHECK_EQ(count_of("compile"), 1u);
}

TEST(engine_follows_no_links_in_its_folder) {
  Bench bench;
  compile(bench.get(), chain(1));
  const auto victim = bench.folder.path() / "victim";
  std::ofstream(victim) << "mine";
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder.path())) {
    if (!entry.is_directory()) continue;
    std::filesystem::remove_all(entry.path());
    std::filesystem::create_directory(entry.path());
    std::filesystem::create_symlink(victim, entry.path() / "model.mil.part");
    std::filesystem::create_symlink(victim, entry.path() / "compiled.part");
  }
  compile(bench.get(), chain(1));
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder.path())) {
    if (entry.path().extension() != ".lock") continue;
    std::filesystem::remove(entry.path());
    std::filesystem::create_symlink(victim, entry.path());
  }
  CHECK_SAYS(bench.compile_error(chain(1)), "is a link, which is not followed");
  CHECK_EQ(read_file(victim.string()), "mine");
}

// What a host that ends every call, about 50 ms after its begin, does to one.
int32_t hosted_status(const std::function<void()>& body) {
  static const auto nothing = []() -> void* { return nullptr; };
  const anesdk_host host{nothing, [](void*) {}, [] { return 1; }};
  void* released = nullptr;
  const HostedCall call(&host, &released);
  try {
    body();
  } catch (const mil::Error& error) {
    return error.status();
  }
  return ANESDK_OK;
}

TEST(engine_waits_end_where_the_host_wants_it) {
  Bench bench;
  const auto program = compile(bench.get(), chain(1));
  const auto inputs = random_inputs(program->inputs());
  const auto expected = run(*program, inputs)[0];
  {
    const Fault fault("e5rt_execution_stream_execute_sync:hang");  // for 0.9 s
    CHECK_EQ(hosted_status([&] { run(*program, inputs); }), ANESDK_INTERRUPTED);
  }
  CHECK(run(*program, inputs)[0] == expected);  // waits for what goes on in its buffers
  {
    const Fault fault("e5rt_e5_compiler_compile:hang");
    CHECK_EQ(hosted_status([&] { compile(bench.get(), chain(2)); }), ANESDK_INTERRUPTED);
  }
  CHECK_SAYS(compile(bench.get(), chain(2))->stats(), "\"compiles\": 0");  // it was compiled in the end
  const std::filesystem::path path = bench.folder.path() / "other.lock";
  const ane::FileLock held(path, milliseconds(0));
  CHECK_EQ(hosted_status([&] { const ane::FileLock again(path, std::chrono::seconds(20)); }), ANESDK_INTERRUPTED);
}

TEST(engine_says_that_what_was_ended_still_hangs) {
  Bench bench;
  bench.limits.run_limit = milliseconds(300);
  const auto program = compile(bench.get(), chain(1), bench.limits);
  const auto inputs = random_inputs(program->inputs());
  {
    const Fault fault("e5rt_execution_stream_execute_sync:hang");
    CHECK_EQ(hosted_status([&] { run(*program, inputs); }), ANESDK_INTERRUPTED);
    CHECK_SAYS(error_of([&] { run(*program, inputs); }), "has not returned");
  }
  std::this_thread::sleep_for(milliseconds(1000));
  CHECK_EQ(run(*program, inputs).size(), 1u);
}

TEST(engine_refuses_a_folder_that_cannot_be_written) {
  Bench bench;
  bench.settings.programs = "/proc/anejax";
  CHECK_SAYS(bench.compile_error(chain(1)), "ANEJAX_CACHE");
}

TEST(engine_refuses_to_run_after_a_fork) {
  Bench bench;
  const auto program = compile(bench.get(), chain(1));
  const auto inputs = random_inputs(program->inputs());
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string ran = error_of([&] { run(*program, inputs); });
    const std::string compiled = error_of([&] { compile(*bench.engine, chain(2)); });
    ::_exit(ran.find("forked") != std::string::npos && ran == compiled ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_EQ(run(*program, inputs).size(), 1u);
}

}  // namespace
