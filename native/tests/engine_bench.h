// Engines over the stand-in Espresso, each with a cache folder of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ane/engine.h"
#include "espresso/runtime.h"

namespace anesdk::test {

std::string stand_in_path();
const ane::Symbols& stand_in();  // its functions; the library stays open

// What the stand-in has seen since its last reset.
uint64_t live_objects();
uint64_t count_of(const char* event);
std::string broken_rules();
void reset_stand_in();

// ANEJAX_ESPRESSO_FAULT for the life of the object.
class Fault {
 public:
  explicit Fault(const std::string& what);
  ~Fault();
};

class Folder {
 public:
  Folder();
  ~Folder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

ane::Settings quick_settings(const Folder& folder);
inline constexpr ane::Limits kQuick{std::chrono::milliseconds(0), std::chrono::seconds(20), std::chrono::seconds(20)};

using Bits = std::vector<uint16_t>;  // a tensor of fp16

std::string golden(const std::string& name);                           // text of tests/golden/<name>.ane.mil
std::string chain(int length, int width = 8);                          // a program of `length` additions of x to itself
std::vector<Bits> random_inputs(const std::vector<ane::Port>& ports);  // of 0.25 to 2 in size
std::vector<Bits> run(const ane::EngineProgram& program, const std::vector<Bits>& inputs,
                      const uint64_t* input_contents = nullptr, const uint64_t* output_contents = nullptr);
// Not verified.
std::unique_ptr<ane::EngineProgram> compile(ane::Engine& engine, const std::string& text,
                                            const ane::Limits& limits = kQuick, const ane::Reuse& reuse = {});

// s' = s + x, and s' in the buffer of s: what state that stays in the engine comes to.
std::string accumulator();
inline const ane::Reuse kResident{{}, {{0, 0}}};

// The words of the mil::Error that `body` throws; "" when it throws none.
template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const mil::Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace anesdk::test

#define CHECK_SAYS(text, words)                                                       \
  do {                                                                                \
    const std::string said = (text);                                                  \
    if (said.find(words) == std::string::npos)                                        \
      anesdk::test::check_equal(said, std::string(words), #text, __FILE__, __LINE__); \
  } while (false)
