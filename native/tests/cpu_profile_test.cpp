// Profiles: an event for each step while one is recorded, none otherwise, and what the steps consist of.
#include <set>
#include <string>
#include <vector>

#include "cpu_program.h"

namespace anesdk::test {
namespace {

const char* const kType = "tensor<fp32, [64, 64]>";

// tanh(x + x) x: one fused step and one product.
std::string two_steps() {
  const std::string type = kType;
  return program(type + " x",
                 op(type, "s", "add(x = x, y = x)") + op(type, "t", "tanh(x = s)") +
                     op(type, "m", "matmul(transpose_x = bool(false), transpose_y = bool(false), x = t, y = x)"),
                 "m");
}

std::vector<anesdk_event> stop(uint64_t* dropped) {
  uint64_t count = 0, written = 0;
  CHECK_EQ(anesdk_profile_stop(&count, dropped), ANESDK_OK);
  std::vector<anesdk_event> events(count);
  CHECK_EQ(anesdk_profile_read(events.data(), count, &written), ANESDK_OK);
  CHECK_EQ(written, count);
  return events;
}

}  // namespace

TEST(cpu_profile_has_an_event_for_each_step_of_each_run) {
  const Program p(two_steps());
  Floats x(64 * 64, 0.5f), y(64 * 64);
  p.run({&x}, {&y});
  CHECK_EQ(anesdk_profile_start(100), ANESDK_OK);
  for (int i = 0; i < 3; ++i) p.run({&x}, {&y});
  uint64_t dropped = 0;
  const std::vector<anesdk_event> events = stop(&dropped);
  p.run({&x}, {&y});
  CHECK_EQ(stop(&dropped).size(), events.size());
  CHECK_EQ(events.size(), 6u);
  CHECK_EQ(dropped, 0u);
  for (size_t i = 0; i < events.size(); ++i) {
    CHECK_EQ(events[i].plan, events[0].plan);
    CHECK_EQ(events[i].step, i % 2);
    CHECK(events[i].begin_ns <= events[i].end_ns && events[i].busy_ns >= 0);
    if (i > 0) CHECK(events[i - 1].end_ns <= events[i].begin_ns);
  }
  const std::string told = p.describe("profile");
  CHECK(told.find("\"id\": " + std::to_string(events[0].plan) + ",") != std::string::npos);
  CHECK(told.find("\"operations\": [\"s\", \"t\"], \"read\": 16384, \"written\": 16384") != std::string::npos);
  CHECK(told.find("\"operations\": [\"m\"], \"read\": 32768, \"written\": 16384") != std::string::npos);
}

TEST(cpu_profile_counts_what_has_no_room) {
  const Program p(two_steps());
  Floats x(64 * 64, 0.5f), y(64 * 64);
  CHECK_EQ(anesdk_profile_start(1), ANESDK_OK);
  p.run({&x}, {&y});
  uint64_t dropped = 0;
  CHECK_EQ(stop(&dropped).size(), 1u);
  CHECK_EQ(dropped, 1u);
  CHECK_EQ(anesdk_profile_start(uint64_t{1} << 40), ANESDK_INVALID_ARGUMENT);
  CHECK_EQ(anesdk_profile_stop(nullptr, &dropped), ANESDK_INVALID_ARGUMENT);
  CHECK_EQ(anesdk_profile_read(nullptr, 1, &dropped), ANESDK_INVALID_ARGUMENT);
}

}  // namespace anesdk::test
