#include "fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <vector>

#include "anesdk.h"
#include "mil/parser.h"
#include "mil/verify.h"
#include "op_rows.h"
#include "print.h"

namespace anesdk::test {
namespace {

using namespace mil;

void must(bool holds) {
  if (!holds) std::abort();
}

// A loop that is known to end soon, or no loop.
bool ends_soon(const Function& f, const Op& op) {
  constexpr int64_t kMaxLength = 100;
  if (op.schema->name == "aj_scan") return f.integer(op, "length") <= kMaxLength;
  return op.schema->name != "aj_while";
}

// Whether running it stays small; what a program may ask for is not what a test should allocate, or wait for: a changed
// loop may not end.
bool is_small(const Program& program) {
  constexpr size_t kMaxBytes = size_t{1} << 16;
  for (const Function& f : program.functions) {
    for (const Value& value : f.values)
      if (value.type.nbytes() > kMaxBytes) return false;
    for (const Op& op : f.ops)
      if (!ends_soon(f, op)) return false;
  }
  return true;
}

// Memory for one port, filled with small integers of its type's width, bools with 0 and 1.
std::vector<uint64_t> fill(const anesdk_port& port, uint64_t seed) {
  std::vector<uint64_t> memory(port.nbytes / 8 + 1);
  const size_t size = size_of(static_cast<DType>(port.dtype));
  const uint64_t range = port.dtype == ANESDK_DTYPE_BOOL ? 2 : 7;
  for (size_t i = 0; i < port.nbytes / size; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const uint64_t element = (seed >> 33) % range - (range > 2 ? 2 : 0);  // from -2 to 4
    std::memcpy(reinterpret_cast<char*>(memory.data()) + i * size, &element, size);
  }
  return memory;
}

// Whatever verifies must compile for a device of the CPU or be refused, whatever its size.
anesdk_program* compiled_for(const char* device, std::string_view text) {
  anesdk_program* program = nullptr;
  const int32_t status = anesdk_program_compile(device, text.data(), text.size(), "", &program);
  must((status == ANESDK_OK) == (program != nullptr) && status != ANESDK_INTERNAL_ERROR);
  return program;
}

// And run on made-up inputs.
int32_t run(anesdk_program* program) {
  uint64_t counts[2];
  must(anesdk_program_num_ports(program, &counts[0], &counts[1]) == ANESDK_OK);
  std::vector<std::vector<uint64_t>> memory;
  std::vector<void*> data;
  std::vector<uint64_t> sizes;
  for (int32_t is_output : {0, 1}) {
    for (uint64_t i = 0; i < counts[is_output]; ++i) {
      anesdk_port port;
      must(anesdk_program_port(program, is_output, i, &port) == ANESDK_OK);
      memory.push_back(fill(port, i));
      data.push_back(memory.back().data());
      sizes.push_back(port.nbytes);
    }
  }
  const int32_t status = anesdk_program_run(program, data.data(), sizes.data(), counts[0], data.data() + counts[0],
                                            sizes.data() + counts[0], counts[1], nullptr, nullptr);
  must(status == ANESDK_OK || status == ANESDK_UNSUPPORTED || status == ANESDK_RUNTIME_ERROR);
  return status;
}

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t next() {
    if (empty()) return 0;
    --size_;
    return *data_++;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class AbiFuzzer {
 public:
  AbiFuzzer(const uint8_t* data, size_t size) : in_(data, size) {}

  void run() {
    while (!in_.empty()) step();
    for (anesdk_program* program : programs_) anesdk_program_release(&program);
    for (anesdk_buffer* buffer : buffers_) anesdk_buffers_release(1, &buffer);
  }

 private:
  void step() {
    switch (in_.next() % 8) {
      case 0:
        return compile();
      case 1:
        return create();
      case 2:
        return run_program();
      case 3:
        return ports();
      case 4:
        return describe();
      case 5:
        return release_program();
      case 6:
        return release_buffer();
      default:
        return verify();
    }
  }

  std::string text() {
    constexpr size_t kRows = sizeof kOpRows / sizeof *kOpRows;
    const OpRow& row = kOpRows[in_.next() % kRows];
    std::string text = one_op(row);
    if (*row.functions) return text;  // a changed loop may not end
    for (uint8_t edits = in_.next() % 4; edits > 0; --edits)
      text[(in_.next() * 256u + in_.next()) % text.size()] = static_cast<char>(in_.next());
    return text;
  }

  void check(int32_t status) const {
    must(std::strcmp(anesdk_status_name(status), "unknown status") != 0);
    if (status == ANESDK_INTERNAL_ERROR) std::fprintf(stderr, "%s\n", anesdk_last_error());
    must(status != ANESDK_INTERNAL_ERROR);
    must(status == ANESDK_OK || *anesdk_last_error());
  }

  // Live, released or made up.
  template <class T>
  T* pick(const std::vector<T*>& handles) {
    const uint8_t choice = in_.next();
    if (choice < 8 || handles.empty()) return reinterpret_cast<T*>(uintptr_t{choice} << (in_.next() % 60));
    return handles[choice % handles.size()];
  }

  void compile() {
    const char* devices[] = {"null", "cpu", "cpu", "cpu-fp16", "gpu", ""};
    const char* options[] = {"", "donate=0", "donate=0,1", "donate=", "share=0:0", "x"};
    const std::string source = text();
    anesdk_program* program = nullptr;
    check(anesdk_program_compile(devices[in_.next() % std::size(devices)], source.data(), source.size(),
                                 options[in_.next() % std::size(options)], &program));
    if (program) programs_.push_back(program);
  }

  void create() {
    uint64_t sizes[3];
    for (uint64_t& size : sizes) size = uint64_t{in_.next()} << (in_.next() % 8 == 0 ? 50 : 4);
    anesdk_buffer* handles[3];
    void* data[3];
    const uint64_t count = in_.next() % 4;
    const int32_t status = anesdk_buffers_create(count, sizes, handles, data);
    check(status);
    if (status == ANESDK_OK) buffers_.insert(buffers_.end(), handles, handles + count);
  }

  void run_program() {
    alignas(64) static char memory[4096];
    const void* inputs[4];
    void* outputs[4];
    uint64_t input_sizes[4], output_sizes[4];
    for (int i = 0; i < 4; ++i) {
      inputs[i] = memory + in_.next() * 8;
      outputs[i] = in_.next() % 8 ? memory + in_.next() * 8 : nullptr;
      input_sizes[i] = in_.next();
      output_sizes[i] = in_.next();
    }
    check(anesdk_program_run(pick(programs_), inputs, input_sizes, in_.next() % 5, outputs, output_sizes,
                             in_.next() % 5, nullptr, nullptr));
  }

  void ports() {
    uint64_t inputs = 0, outputs = 0;
    anesdk_port port;
    anesdk_program* program = pick(programs_);
    check(anesdk_program_num_ports(program, &inputs, &outputs));
    check(anesdk_program_port(program, in_.next() % 2, in_.next(), &port));
  }

  void describe() {
    char out[16];
    const char* what[] = {"plan", "stats", "numerics", "other"};
    check(anesdk_program_describe(pick(programs_), what[in_.next() % std::size(what)], out, in_.next() % 17, nullptr));
  }

  void release_program() {
    anesdk_program* program = pick(programs_);
    check(anesdk_program_release(&program));
  }

  void release_buffer() {
    anesdk_buffer* buffer = pick(buffers_);
    check(anesdk_buffers_release(1, &buffer));
  }

  void verify() {
    const char* targets[] = {"cpu", "coreml", "ane", "other"};
    const std::string source = text();
    check(anesdk_verify(source.data(), source.size(), targets[in_.next() % 4]));
  }

  Bytes in_;
  std::vector<anesdk_program*> programs_;
  std::vector<anesdk_buffer*> buffers_;
};

}  // namespace

void fuzz_text(std::string_view text) {
  Program program;
  try {
    program = parse(text);
  } catch (const Error& e) {
    must(e.status() == ANESDK_PARSE_ERROR || e.status() == ANESDK_VERIFY_ERROR);
    return;
  }
  const std::string printed = print(program);
  must(print(parse(printed)) == printed);
  for (const Target target : {Target::CPU, Target::COREML, Target::ANE}) {
    try {
      verify(program, target);
    } catch (const Error& e) {
      must(e.status() == ANESDK_VERIFY_ERROR || e.status() == ANESDK_UNSUPPORTED);
    }
  }
  for (const char* device : {"cpu", "cpu-fp16"}) {
    anesdk_program* compiled = compiled_for(device, text);
    if (!compiled) continue;
    if (is_small(program)) run(compiled);
    must(anesdk_program_release(&compiled) == ANESDK_OK);
  }
}

bool runs_on_cpu(std::string_view text) {
  anesdk_program* compiled = compiled_for("cpu", text);
  if (!compiled) return false;
  const bool ran = run(compiled) == ANESDK_OK;
  must(anesdk_program_release(&compiled) == ANESDK_OK);
  return ran;
}

void fuzz_abi(const uint8_t* data, size_t size) { AbiFuzzer(data, size).run(); }

}  // namespace anesdk::test
