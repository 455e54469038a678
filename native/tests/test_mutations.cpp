// Fuzzing that needs no fuzzer: seeded mutations of legal programs, the same on every machine.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "fuzz.h"
#include "op_rows.h"
#include "print.h"

namespace {

using namespace anesdk::test;
using Random = std::mt19937_64;

// Seconds for each loop: ANESDK_FUZZ_SECONDS, or one.
double seconds() {
  const char* text = std::getenv("ANESDK_FUZZ_SECONDS");
  return text ? std::atof(text) : 1.0;
}

// The first seed: ANESDK_FUZZ_SEED, to see one case again.
uint64_t first_seed() {
  const char* text = std::getenv("ANESDK_FUZZ_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kDeaths[] = {SIGABRT};  // the sanitizer tells more of the others
#else
constexpr int kDeaths[] = {SIGABRT, SIGSEGV, SIGFPE, SIGILL};
#endif

uint64_t current_seed = 0;

void tell_seed(int signal) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "ANESDK_FUZZ_SEED=%llu\n", 0ULL + current_seed);
  [[maybe_unused]] const auto written = write(2, text, static_cast<size_t>(length));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

size_t below(Random& random, size_t limit) { return limit ? random() % limit : 0; }

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> all = {"tensor<",
                                               "fp32",
                                               "int32",
                                               "[",
                                               "]",
                                               "(",
                                               ")",
                                               "{",
                                               "}",
                                               "<",
                                               ">",
                                               ",",
                                               ";",
                                               "=",
                                               "->",
                                               "\"",
                                               "\\",
                                               "-1",
                                               "0",
                                               "9223372036854775807",
                                               "-9223372036854775808",
                                               "99999999999999999999",
                                               "2147483647",
                                               "0x1p+0",
                                               "nan",
                                               "-inf",
                                               "string(\"x\")",
                                               "bool(true)",
                                               "func",
                                               "const()",
                                               "BLOBFILE(path = string(\"p\"), offset = uint64(0))",
                                               "x",
                                               "o",
                                               "values = (x, x)",
                                               "axes = ",
                                               "tensor<int32, [2]>([0, 1])",
                                               std::string(1, '\0'),
                                               "\xff"};
  return all;
}

void mutate(std::string& text, Random& random) {
  const size_t at = below(random, text.size() + 1);
  const size_t length = below(random, std::min<size_t>(text.size() - at, 24) + 1);
  switch (below(random, 6)) {
    case 0:
      text.erase(at, length);
      break;
    case 1:
      text.insert(at, fragments()[below(random, fragments().size())]);
      break;
    case 2:
      text.replace(at, length, fragments()[below(random, fragments().size())]);
      break;
    case 3:
      text.insert(at, text.substr(below(random, text.size() + 1), length));
      break;
    case 4:
      if (at < text.size()) text[at] = static_cast<char>(random());
      break;
    default: {  // another digit, where verification is reached most
      const size_t digit = text.find_first_of("0123456789", at);
      if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(random, 10));
    }
  }
}

template <class Body>
void for_a_while(Body body) {
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double> limit(seconds());
  for (const int signal : kDeaths) std::signal(signal, tell_seed);
  for (uint64_t seed = first_seed(); std::chrono::steady_clock::now() - start < limit; ++seed) {
    current_seed = seed;
    Random random(seed);
    body(random);
  }
  for (const int signal : kDeaths) std::signal(signal, SIG_DFL);
}

TEST(mutated_texts) {
  std::vector<std::string> seeds = {read_file(source_dir() + "/tests/fixtures/mil/e5rt_matmul_add.mil")};
  for (const OpRow& row : kOpRows) seeds.push_back(one_op(row));
  for_a_while([&](Random& random) {
    std::string text = seeds[below(random, seeds.size())];
    for (size_t count = 1 + below(random, 4); count > 0; --count) mutate(text, random);
    fuzz_text(text);
  });
}

TEST(random_calls) {
  for_a_while([](Random& random) {
    std::vector<uint8_t> bytes(below(random, 400));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    fuzz_abi(bytes.data(), bytes.size());
  });
}

}  // namespace
