// describe("profile"): the operations of each step, the bytes that it reads and writes, and the plans that it runs.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cpu/plan/plan.h"

namespace anesdk::cpu {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "\"";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return "[" + out + "]";
}

struct Traffic {
  int64_t read = 0, written = 0;
};

// The bytes that a step reads from outside, each part of a tensor once, and those that it leaves in memory.
Traffic traffic(const Plan& plan, const std::vector<int32_t>& nodes) {
  const Graph& graph = plan.graph;
  std::set<TensorId> made;
  std::map<TensorId, int64_t> read;
  Traffic out;
  for (const int32_t n : nodes) {
    for (const TensorId t : graph.nodes[n].outputs) made.insert(t);
  }
  for (const int32_t n : nodes) {
    for (const View& v : graph.nodes[n].inputs) {
      if (made.count(v.base)) continue;
      const auto size = static_cast<int64_t>(mil::size_of(v.dtype));
      const int64_t whole = static_cast<int64_t>(graph.tensors[v.base].nbytes());
      int64_t& known = read[v.base];
      known = std::min(whole, std::max(known, v.elements() * size));
    }
  }
  for (const auto& [tensor, bytes] : read) out.read += bytes;
  for (const TensorId t : made) {
    if (plan.memory.stored[t]) out.written += static_cast<int64_t>(graph.tensors[t].nbytes());
  }
  return out;
}

// Bytes of the arena in use while each step runs.
std::vector<int64_t> live_bytes(const Plan& plan) {
  const Graph& graph = plan.graph;
  const size_t steps = plan.step_nodes.size();
  std::map<TensorId, std::pair<size_t, size_t>> life;
  for (size_t s = 0; s < steps; ++s) {
    const auto lives = [&](TensorId t) {
      if (plan.memory.offset[t] >= 0) life.try_emplace(t, s, s).first->second.second = s;
    };
    for (const int32_t n : plan.step_nodes[s]) {
      for (const TensorId t : graph.nodes[n].outputs) lives(t);
      for (const View& v : graph.nodes[n].inputs) lives(v.base);
    }
  }
  std::vector<std::vector<TensorId>> begins(steps), ends(steps);
  for (const auto& [t, span] : life) {
    begins[span.first].push_back(t);
    ends[span.second].push_back(t);
  }
  std::map<int64_t, int64_t> users;  // by offset: tensors in place of one another are counted once
  std::vector<int64_t> out(steps);
  int64_t now = 0;
  for (size_t s = 0; s < steps; ++s) {
    for (const TensorId t : begins[s]) {
      if (users[plan.memory.offset[t]]++ == 0) now += static_cast<int64_t>(graph.tensors[t].nbytes());
    }
    out[s] = now;
    for (const TensorId t : ends[s]) {
      if (--users[plan.memory.offset[t]] == 0) now -= static_cast<int64_t>(graph.tensors[t].nbytes());
    }
  }
  return out;
}

class Teller {
 public:
  std::vector<std::string> plans;

  void tell(const Plan& plan) {
    if (!told_.insert(&plan).second) return;
    const std::vector<int64_t> live = live_bytes(plan);
    std::vector<std::string> steps;
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      std::vector<std::string> names, nested;
      std::set<int32_t> seen;
      for (const int32_t n : plan.step_nodes[s]) {
        const int32_t op = plan.graph.nodes[n].op;
        if (op >= 0 && seen.insert(op).second) names.push_back(quoted(plan.graph.op_names[op]));
      }
      for (const Nested& inner : plan.steps[s]->nested()) nested.push_back(std::to_string(inner.plan->id));
      const Traffic bytes = traffic(plan, plan.step_nodes[s]);
      steps.push_back("{\"what\": " + quoted(plan.steps[s]->describe()) + ", \"operations\": " + joined(names) +
                      ", \"read\": " + std::to_string(bytes.read) + ", \"written\": " + std::to_string(bytes.written) +
                      ", \"live\": " + std::to_string(live[s]) + ", \"nested\": " + joined(nested) + "}");
    }
    plans.push_back("{\"id\": " + std::to_string(plan.id) + ", \"function\": " + quoted(plan.function) +
                    ", \"arena_bytes\": " + std::to_string(plan.memory.arena_bytes) + ", \"workspace_bytes\": " +
                    std::to_string(plan.workspace_bytes) + ", \"steps\": " + joined(steps) + "}");
    for (const auto& step : plan.steps) {
      for (const Nested& inner : step->nested()) tell(*inner.plan);
    }
  }

 private:
  std::set<const Plan*> told_;
};

}  // namespace

std::string plan_profile(const Plan& plan) {
  Teller teller;
  teller.tell(plan);
  return "{\"plans\": " + joined(teller.plans) + "}";
}

}  // namespace anesdk::cpu
