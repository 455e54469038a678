// Plans that are right pass the checks, and each defect of one is found.
#include <functional>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/plan/plan.h"
#include "cpu_program.h"
#include "mil/error.h"
#include "mil/parser.h"
#include "mil/verify.h"

namespace {

using namespace anesdk;
using namespace anesdk::cpu;
using anesdk::test::op;

struct Planned {
  mil::Program program;
  Graph graph;
  std::vector<Unit> units;
  std::vector<Donation> donate;
  Memory memory;

  explicit Planned(const std::string& text, std::vector<Donation> given = {})
      : program(mil::parse(text)), donate(std::move(given)) {
    mil::verify(program, mil::Target::CPU);
    Plans plans(program);
    graph = import_function(*program.find("main"), plans);
    units = make_units(graph);
    memory = plan_memory(graph, units, donate);
  }

  TensorId made_by(size_t unit) const { return graph.nodes[units[unit].node].outputs[0]; }
  int64_t offset_of(size_t unit) const { return memory.offset[made_by(unit)]; }

  // The message of the first defect, or nothing.
  std::string defect() const {
    try {
      check_units(graph, units);
      check_memory(graph, units, donate, memory);
    } catch (const mil::Error& e) {
      CHECK_EQ(e.status(), ANESDK_INTERNAL_ERROR);
      return e.what();
    }
    return "";
  }
};

const char* const kType = "tensor<fp32, [16, 16]>";

// The units are q; a = x w; b; c; d; o with p. Of them b, c and o read a, and p may take the memory of p0.
Planned planned(std::vector<Donation> donate = {{2, 1}}) {
  const std::string t = kType;
  const std::string body = op(t, "q", "aj_tanh(x = p0)") + op(t, "a", "matmul(x = x, y = w)") +
                           op(t, "b", "matmul(x = a, y = w)") + op(t, "c", "aj_tanh(x = a)") +
                           op(t, "d", "matmul(x = c, y = b)") + op(t, "o", "aj_add(x = d, y = a)") +
                           op(t, "p", "aj_add(x = p0, y = o)");
  return Planned(test::program(t + " x, " + t + " w, " + t + " p0", body, "o, p, q"), std::move(donate));
}

void breaks(const char* words, const std::function<void(Planned*)>& damage) {
  Planned plan = planned();
  CHECK_EQ(plan.defect(), "");
  damage(&plan);
  const std::string found = plan.defect();
  if (found.find(words) == std::string::npos) {
    test::report(__FILE__, __LINE__, std::string("expected a defect \"") + words + "\", got \"" + found + "\"");
  }
}

}  // namespace

TEST(cpu_check_finds_steps_that_are_missing_doubled_or_early) {
  breaks("is not planned", [](Planned* p) { p->units.pop_back(); });
  breaks("before it is made", [](Planned* p) { p->units.erase(p->units.begin() + 1); });
  breaks("before it is made", [](Planned* p) { std::swap(p->units.front(), p->units.back()); });
  breaks("is planned twice", [](Planned* p) { p->units.push_back(p->units.back()); });
  breaks("is not made", [](Planned* p) { p->graph.output_tensors.push_back(p->graph.input_tensors[0]); });
  breaks("is made twice", [](Planned* p) { p->graph.nodes[p->units[3].node].outputs[0] = p->made_by(2); });
}

TEST(cpu_check_finds_memory_that_is_lost_before_it_is_read) {
  breaks("overwritten, or not kept", [](Planned* p) { p->memory.offset[p->made_by(4)] = p->offset_of(1); });
  breaks("overwritten, or not kept", [](Planned* p) { p->memory.stored[p->made_by(1)] = false; });
  breaks("has the place", [](Planned* p) { p->memory.offset[p->made_by(1)] = -1; });
  breaks("has the place", [](Planned* p) { p->memory.offset[p->made_by(1)] += 4; });
  breaks("has the place", [](Planned* p) { p->memory.arena_bytes -= 64; });
}

TEST(cpu_check_finds_results_written_over_what_their_step_reads) {
  breaks("while that is read", [](Planned* p) { p->memory.alias.clear(); });
  // A product cannot be written where an operand of it lies, whatever the list of pairs says.
  breaks("while that is read", [](Planned* p) {
    p->memory.offset[p->made_by(2)] = p->offset_of(1);
    p->memory.alias.push_back({p->made_by(2), p->made_by(1)});
  });
}

TEST(cpu_check_finds_memory_of_inputs_that_were_not_given) {
  CHECK_EQ(planned().memory.output_alias[1], 2);
  breaks("not given", [](Planned* p) { p->donate.clear(); });
  breaks("not given", [](Planned* p) { p->donate = {{2, 0}}; });
  breaks("two outputs", [](Planned* p) {
    p->donate.push_back({2, 0});
    p->memory.output_alias[0] = 2;
  });
  breaks("another type", [](Planned* p) { p->graph.inputs[2].shape[0] = 8; });
  breaks("overwritten", [](Planned* p) {  // q is written first, and p reads p0 afterwards
    p->donate = {{2, 2}};
    p->memory.output_alias = {-1, -1, 2};
    p->memory.alias.push_back({p->graph.output_tensors[2], p->graph.input_tensors[2]});
  });
  CHECK_EQ(planned({}).defect(), "");
  CHECK_EQ(planned({{0}, {1}, {2}}).defect(), "");
}
