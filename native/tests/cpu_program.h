// A program on the CPU device, or another, seen through the C border.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anesdk.h"
#include "check.h"

namespace anesdk::test {

using Floats = std::vector<float>;

// A statement with the name of its result.
inline std::string op(const std::string& type, const std::string& name, const std::string& call) {
  return type + " " + name + " = " + call + "[name = string(\"" + name + "\")];\n";
}

// A program of one function.
inline std::string program(const std::string& inputs, const std::string& body, const std::string& outputs) {
  return "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", \"3520.5.1\"}})]\n{\n    func "
         "main<ios18>(" +
         inputs + ") {\n" + body + "    } -> (" + outputs + ");\n}\n";
}

// What a port is given: all of a vector, or one number.
struct Memory {
  Memory(Floats* floats) : data(floats->data()), bytes(floats->size() * sizeof(float)) {}     // NOLINT: implicit
  Memory(std::vector<uint16_t>* halves) : data(halves->data()), bytes(halves->size() * 2) {}  // NOLINT: implicit
  Memory(float* number) : data(number), bytes(sizeof *number) {}                              // NOLINT: implicit
  Memory(int32_t* number) : data(number), bytes(sizeof *number) {}                            // NOLINT: implicit
  void* data;
  uint64_t bytes;
};

class Program {
 public:
  explicit Program(const std::string& text, const char* options = "", const char* device = "cpu") {
    const int32_t status = anesdk_program_compile(device, text.data(), text.size(), options, &handle_);
    if (status != ANESDK_OK) report(__FILE__, __LINE__, anesdk_last_error());
  }
  ~Program() { anesdk_program_release(&handle_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string describe(const char* what) const {
    uint64_t needed = 0;
    anesdk_program_describe(handle_, what, nullptr, 0, &needed);
    std::string out(needed, '\0');
    anesdk_program_describe(handle_, what, out.data(), needed, nullptr);
    out.pop_back();
    return out;
  }
  int64_t stat(const std::string& key) const {
    const std::string stats = describe("stats");
    const size_t at = stats.find("\"" + key + "\": ");
    return at == std::string::npos ? -1 : std::stoll(stats.substr(at + key.size() + 4));
  }
  int64_t alias(uint64_t output) const {
    anesdk_port port;
    anesdk_program_port(handle_, 1, output, &port);
    return port.alias;
  }
  void run(const std::vector<Memory>& inputs, const std::vector<Memory>& outputs) const {
    std::vector<const void*> in;
    std::vector<void*> out;
    std::vector<uint64_t> in_bytes, out_bytes;
    for (const Memory& m : inputs) in.push_back(m.data), in_bytes.push_back(m.bytes);
    for (const Memory& m : outputs) out.push_back(m.data), out_bytes.push_back(m.bytes);
    CHECK_EQ(anesdk_program_run(handle_, in.data(), in_bytes.data(), in.size(), out.data(), out_bytes.data(),
                                out.size(), nullptr, nullptr),
             ANESDK_OK);
  }

 private:
  anesdk_program* handle_ = nullptr;
};

}  // namespace anesdk::test
