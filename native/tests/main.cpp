#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>

#include "anesdk.h"
#include "check.h"

namespace anesdk::test {
namespace {
int failures = 0;
}

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void report(const char* file, int line, const std::string& what) {
  ++failures;
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

std::string source_dir() { return ANESDK_SOURCE_DIR; }

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) report(path.c_str(), 0, "cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace anesdk::test

int main(int argc, char** argv) {
  using namespace anesdk::test;
  const char* filter = argc > 1 ? argv[1] : "";
  if (const char* blas = std::getenv("ANEJAX_BLAS"); blas && *blas && anesdk_load_blas(blas) != ANESDK_OK) {
    report(blas, 0, anesdk_last_error());
  }
  int passed = 0, failed = failures;
  for (const Case& c : cases()) {
    if (!std::strstr(c.name, filter)) continue;
    const int before = failures;
    const auto start = std::chrono::steady_clock::now();
    try {
      c.body();
    } catch (const std::exception& e) {
      report(c.name, 0, std::string("threw ") + e.what());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    ++(failures > before ? failed : passed);
    if (failures > before) std::fprintf(stderr, "FAILED %s\n", c.name);
    if (seconds.count() > 0.5) std::printf("%-40s %.1f s\n", c.name, seconds.count());
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return passed == 0 || failed ? 1 : 0;
}
