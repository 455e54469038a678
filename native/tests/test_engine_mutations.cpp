// Mutations of the dispatch: each one must be caught by the stand-in, so that the tests of the engine can be trusted.
#include <functional>
#include <vector>

#include "check.h"
#include "engine_bench.h"
#include "print.h"

namespace {

using namespace anesdk;
using namespace anesdk::test;
using ane::Handle;
using ane::Symbols;

const Symbols& real() { return stand_in(); }

// Whether the stand-in complains about an engine with these functions that compiles, runs twice and releases.
std::string complaint(const Symbols& symbols, const std::string& text = chain(2)) {
  const Folder folder;
  reset_stand_in();
  std::string said;
  {
    ane::Engine engine(symbols, quick_settings(folder));
    said = error_of([&] {
      const auto program = compile(engine, text);
      const auto inputs = random_inputs(program->inputs());
      run(*program, inputs);
      run(*program, inputs);
    });
  }
  said += broken_rules();
  if (live_objects() != 0) said += "leaked";
  reset_stand_in();
  return said;
}

// The same of a program whose state shares a buffer, and has no copy outside; 1, 1, 2 and 2 are added to it, and
// numbered.
std::string complaint_of_state(const Symbols& symbols, const std::vector<uint64_t>& numbers = {8, 8, 9, 9}) {
  const Folder folder;
  reset_stand_in();
  std::string said;
  {
    ane::Engine engine(symbols, quick_settings(folder));
    said += error_of([&] {
      const auto program = compile(engine, accumulator(), kQuick, kResident);
      constexpr uint16_t added[] = {0x3c00, 0x3c00, 0x4000, 0x4000}, sums[] = {0x3c00, 0x4000, 0x4400, 0x4600};
      for (uint64_t i = 0; i < numbers.size(); ++i) {
        const uint64_t holds[] = {i + 1, numbers[i]}, makes[] = {i + 2};
        const Bits outside(64, i ? 0x7bff : 0);
        if (run(*program, {outside, Bits(64, added[i])}, holds, makes)[0] != Bits(64, sums[i])) said += "wrong";
      }
    });
  }
  said += broken_rules();
  if (live_objects() != 0) said += "leaked";
  reset_stand_in();
  return said;
}

struct Mutation {
  const char* name;
  std::function<void(Symbols&)> apply;
};

Handle late[8];  // handles whose release a mutation puts off
size_t num_late = 0;

int32_t put_off(Handle* handle) {
  late[num_late++ % 8] = *handle;
  return 0;
}

int32_t nothing(Handle, int) { return 0; }
int32_t no_text(Handle, const char*) { return 0; }

template <class T>
T as(const void* value) {
  return static_cast<T>(const_cast<void*>(value));
}

const std::vector<Mutation> kSwapped = {
    {"compiler with its result last",
     [](Symbols& s) {
       s.compiler_create.address = [](Handle* out, Handle cfg) {
         return real().compiler_create.address(as<Handle*>(cfg), out);
       };
     }},
    {"function with the name first",
     [](Symbols& s) {
       s.library_retain_function.address = [](Handle lib, const char* name, Handle* out) {
         return real().library_retain_function.address(as<Handle>(name), as<const char*>(lib), out);
       };
     }},
    {"function with the result in the place of the name",
     [](Symbols& s) {
       s.library_retain_function.address = [](Handle lib, const char*, Handle* out) {
         return real().library_retain_function.address(lib, "other", out);
       };
     }},
    {"operation options with the function first",
     [](Symbols& s) {
       s.op_options_create.address = [](Handle* out, Handle fn) {
         return real().op_options_create.address(as<Handle*>(fn), out);
       };
     }},
    {"operation from the function",
     [](Symbols& s) {
       s.operation_create.address = [](Handle* out, Handle options) {
         return real().operation_create.address(as<Handle*>(options), out);
       };
     }},
    {"input port asked for as output",
     [](Symbols& s) { s.operation_retain_input.address = real().operation_retain_output.address; }},
    {"buffer with type and size exchanged",
     [](Symbols& s) {
       s.buffer_alloc.address = [](Handle* out, uint64_t bytes, uint32_t type) {
         return real().buffer_alloc.address(out, type, static_cast<uint32_t>(bytes));
       };
     }},
    {"buffer of exactly the bytes",
     [](Symbols& s) {
       s.buffer_alloc.address = [](Handle* out, uint64_t bytes, uint32_t type) {
         return real().buffer_alloc.address(out, bytes / 2, type);
       };
     }},
    {"buffer bound to itself",
     [](Symbols& s) {
       s.port_bind.address = [](Handle port, Handle buffer) { return real().port_bind.address(buffer, port); };
     }},
    {"operation encodes the stream",
     [](Symbols& s) {
       s.stream_encode.address = [](Handle stream, Handle op) { return real().stream_encode.address(op, stream); };
     }},
    {"compile with options and compiler exchanged",
     [](Symbols& s) {
       s.compile.address = [](Handle compiler, const char* path, Handle options, Handle* out) {
         return real().compile.address(options, path, compiler, out);
       };
     }},
};

const std::vector<Mutation> kOmitted = {
    {"no bundle folder", [](Symbols& s) { s.config_set_cache.address = no_text; }},
    {"no segmenter", [](Symbols& s) { s.options_set_segmenter.address = no_text; }},
    {"no force flag", [](Symbols& s) { s.options_set_force.address = nothing; }},
    {"any device",
     [](Symbols& s) {
       s.options_set_devices.address = [](Handle options, uint64_t) {
         return real().options_set_devices.address(options, 7);
       };
     }},
    {"no operation name", [](Symbols& s) { s.op_options_set_name.address = no_text; }},
    {"no intermediate buffers", [](Symbols& s) { s.op_options_set_allocate.address = nothing; }},
    {"no binding", [](Symbols& s) { s.port_bind.address = [](Handle, Handle) { return 0; }; }},
    {"no encode", [](Symbols& s) { s.stream_encode.address = [](Handle, Handle) { return 0; }; }},
    {"encoded twice",
     [](Symbols& s) {
       s.stream_encode.address = [](Handle stream, Handle op) {
         real().stream_encode.address(stream, op);
         return real().stream_encode.address(stream, op);
       };
     }},
    {"never executed", [](Symbols& s) { s.stream_execute.address = [](Handle) { return 0; }; }},
    {"bound twice",
     [](Symbols& s) {
       s.port_bind.address = [](Handle port, Handle buffer) {
         real().port_bind.address(port, buffer);
         return real().port_bind.address(port, buffer);
       };
     }},
    {"a port retained twice",
     [](Symbols& s) {
       s.operation_retain_input.address = [](Handle op, const char* name, Handle* out) {
         real().operation_retain_input.address(op, name, out);
         return real().operation_retain_input.address(op, name, out);
       };
     }},
};

// A release that comes late leaves what it holds alive while the next ones go.
const std::vector<Mutation> kReleases = {
    {"the stream after its ports", [](Symbols& s) { s.stream_release.address = put_off; }},
    {"buffers after ports", [](Symbols& s) { s.buffer_release.address = put_off; }},
    {"ports after the operation", [](Symbols& s) { s.port_release.address = put_off; }},
    {"the operation after its options", [](Symbols& s) { s.operation_release.address = put_off; }},
    {"operation options after the function", [](Symbols& s) { s.op_options_release.address = put_off; }},
    {"the function after the library", [](Symbols& s) { s.function_release.address = put_off; }},
    {"the library never", [](Symbols& s) { s.library_release.address = put_off; }},
    {"the compiler after its configuration", [](Symbols& s) { s.compiler_release.address = put_off; }},
    {"the configuration never", [](Symbols& s) { s.config_release.address = put_off; }},
    {"compiler options never", [](Symbols& s) { s.options_release.address = put_off; }},
    {"descriptions never", [](Symbols& s) { s.desc_release.address = put_off; }},
    {"the stream twice",
     [](Symbols& s) {
       s.stream_release.address = [](Handle* stream) {
         Handle again = *stream;
         real().stream_release.address(stream);
         return real().stream_release.address(&again);
       };
     }},
    {"the handle itself",
     [](Symbols& s) {
       s.library_release.address = [](Handle* library) {
         return real().library_release.address(as<Handle*>(*library));
       };
     }},
};

Handle state_port = nullptr, state_buffer = nullptr;  // of the input that shares, which is bound last

int32_t bind_and_note(Handle port, Handle buffer) {
  state_port = port, state_buffer = buffer;
  return real().port_bind.address(port, buffer);
}

const std::vector<Mutation> kShared = {
    {"released by each of its ports",
     [](Symbols& s) {
       s.port_bind.address = bind_and_note;
       s.port_release.address = [](Handle* port) {
         Handle buffer = state_buffer;
         if (*port == state_port) real().buffer_release.address(&buffer);
         return real().port_release.address(port);
       };
     }},
    {"released before the stream",
     [](Symbols& s) {
       s.port_bind.address = bind_and_note;
       s.stream_release.address = [](Handle* stream) {
         Handle buffer = state_buffer;
         real().buffer_release.address(&buffer);
         return real().stream_release.address(stream);
       };
     }},
    {"released after its owner", [](Symbols& s) { s.buffer_release.address = put_off; }},
    {"bound to its owner alone",
     [](Symbols& s) {
       s.port_bind.address = [](Handle port, Handle buffer) {
         const bool again = buffer == state_buffer;
         state_buffer = buffer;
         return again ? 0 : real().port_bind.address(port, buffer);
       };
     }},
    {"replaced by one of the input's own",
     [](Symbols& s) {
       s.port_bind.address = [](Handle port, Handle buffer) {
         Handle own = buffer;
         if (buffer == state_buffer) real().buffer_alloc.address(&own, 128, 0);
         state_buffer = buffer;
         return real().port_bind.address(port, own);
       };
     }},
};

void check_caught(const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    Symbols symbols = real();
    mutation.apply(symbols);
    if (complaint(symbols).empty()) report(__FILE__, __LINE__, std::string("not caught: ") + mutation.name);
  }
}

TEST(engine_mutations_none) {
  CHECK_EQ(complaint(real()), "");
  CHECK_EQ(complaint_of_state(real()), "");
}
TEST(engine_mutations_swapped_arguments) { check_caught(kSwapped); }
TEST(engine_mutations_omitted_calls) { check_caught(kOmitted); }
TEST(engine_mutations_release_order) { check_caught(kReleases); }

TEST(engine_mutations_shared_buffers) {
  for (const Mutation& mutation : kShared) {
    Symbols symbols = real();
    mutation.apply(symbols);
    if (complaint_of_state(symbols).empty())
      report(__FILE__, __LINE__, std::string("not caught: a shared buffer ") + mutation.name);
  }
}

// An input that is not copied although it holds something else.
TEST(engine_mutations_contents) { CHECK_EQ(complaint_of_state(real(), {8, 8, 8, 8}), "wrongwrong"); }

// What the verifier would have refused, and the stand-in must refuse for itself.
TEST(engine_mutations_programs) {
  struct Row {
    const char *inputs, *statement, *outputs, *words;
  };
  const std::vector<Row> rows = {
      {"fp32[2,3] x", "fp32[2,3] o = relu(x = x)", "o", "port x fp32"},
      {"int32[2] x", "int32[2] o = add(x = x, y = x)", "o", "port x int32"},
      {"bool[2] x", "bool[2] o = logical_not(x = x)", "o", "port x bool"},
      {"fp16[1,1,1,1,1,2] x", "fp16[1,1,1,1,1,2] o = relu(x = x)", "o", "rank not supported"},
      {"fp16[2,0] x", "fp16[2,0] o = relu(x = x)", "o", "zero-sized"},
      {"fp16[2,20000] x", "fp16[2,20000] o = relu(x = x)", "o", "dimension too large"},
      {"fp16[2] x", "fp16[2] o = relu(x = x)", "x", "map::at"},
      {"fp16[2] x", "fp16[2] o = relu(x = x)", "o, o", "InvalidMILProgram"},
      {"fp16[2] x", "fp16[2] o = sinh(x = x)", "o", "sinh not supported on any backend"},
      {"fp16[2] x", "fp16[2] o = log(x = x)", "o", "'epsilon' is missing"},
      {"fp16[2,2] x, fp16[2] e", "fp16[2,2] o = pow(x = x, y = e)", "o", "must be constant"},
      {"fp16[2] x", "fp16[2] o = add(x = x, y = fp16(inf))", "o", "cannot hold"},
      {"fp16[2,3] x", "fp32[2,3] o = cast(dtype = string(\"fp32\"), x = x)", "o", "fp32[2, 3] not supported"},
      {"fp16[2] x", "fp16[10] o = tile(reps = {5}, x = x)", "o", "tile by 5"},
      {"fp16[2,1,4,4] x, fp16[1,1,3,3] w",
       "fp16[2,1,2,2] o = conv(dilations = {1,1}, groups = int32(1), pad = {0,0,0,0}, pad_type = string(\"valid\"), "
       "strides = {1,1}, "
       "weight = w, x = x)",
       "o", "compiler service was interrupted"},
  };
  for (const Row& row : rows) CHECK_SAYS(complaint(real(), one_op(row.inputs, row.statement, row.outputs)), row.words);
}

}  // namespace
