// What the fuzz targets and the plain mutation loop have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace anesdk::test {

// Parses and verifies for all targets, and runs what is legal on the CPU device, if there is one. A program that parses
// must print to one that parses to the same.
void fuzz_text(std::string_view text);

// Compiles and runs on made-up inputs; anesdk_last_error() has the reason of a failure.
bool runs_on_cpu(std::string_view text);

// Reads `data` as a sequence of calls to the C border, with handles that are live, stale and made up.
void fuzz_abi(const uint8_t* data, size_t size);

}  // namespace anesdk::test
