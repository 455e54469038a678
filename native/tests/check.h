// Tests without a framework: TEST(name) { CHECK(...); }, one executable, a filter as its argument.
#pragma once

#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace anesdk::test {

struct Case {
  const char* name;
  void (*body)();
};

std::vector<Case>& cases();

struct Register {
  Register(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

void report(const char* file, int line, const std::string& what);  // counts a failure

template <class A, class B>
void check_equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  std::ostringstream out;
  out << text << ": " << a << " differs from " << b;
  report(file, line, out.str());
}

// The directory of the checkout, for fixtures.
std::string source_dir();
std::string read_file(const std::string& path);

}  // namespace anesdk::test

#define TEST(name)                                                    \
  static void test_##name();                                          \
  static const anesdk::test::Register reg_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) anesdk::test::report(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_EQ(a, b) anesdk::test::check_equal((a), (b), #a " == " #b, __FILE__, __LINE__)
