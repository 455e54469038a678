// A program as the engine would compute it. Its float16 values are float32 here that float16 can hold: every operation
// runs in float32, inside and out, and what it makes settles once (numerics.h). Operations that round nothing, such as
// transpositions and maxima, need no settling.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cpu/import/importer.h"
#include "cpu/plan/plan.h"
#include "cpu/steps/kernel_step.h"
#include "cpu/tile/numerics.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

mil::Function widened(mil::Function f) {
  for (mil::Value& value : f.values) {
    if (value.type.dtype != DType::FP16) continue;
    value.type.dtype = DType::FP32;
    if (value.constant == nullptr || value.constant->blob) continue;
    auto wide = std::make_shared<mil::Constant>();
    wide->data.resize(value.type.nbytes());
    const void* source[] = {value.constant->data.data()};
    simd().convert(DType::FP16, DType::FP32)(wide->data.data(), source, value.type.elements(), 0);
    value.constant = std::move(wide);
  }
  return f;
}

// The kinds of nodes of one operation; the last that applies counts.
enum class Work : uint8_t { EXACT, ELEMENTWISE, OTHER, PRODUCT };

Work work_of(const Graph& graph, const Node& node) {
  switch (node.kind) {
    case NodeKind::MAP: {
      const bool from_byte = node.map == MapOp::CONVERT && mil::size_of(node.compute) == 1;
      const bool rounds = graph.tensors[node.outputs[0]].dtype == DType::FP32 && !row_of(node.map).exact;
      return rounds && !from_byte ? Work::ELEMENTWISE : Work::EXACT;
    }
    case NodeKind::REDUCE:
      return node.reduce == ReduceOp::SUM || node.reduce == ReduceOp::PROD ? Work::OTHER : Work::EXACT;
    case NodeKind::GEMM:
      return Work::PRODUCT;
    case NodeKind::KERNEL:
      if (node.kernel->name.starts_with("conv")) return Work::PRODUCT;
      return node.kernel->name == "max_pool" ? Work::EXACT : Work::OTHER;
    default:
      return Work::EXACT;
  }
}

class EngineImporter : public Importer {
 public:
  EngineImporter(const mil::Function& original, const mil::Function& wide, Plans& plans, Graph* graph)
      : Importer(wide, plans, graph), original_(original), graph_(*graph), numerics_(*plans.numerics()) {}

 private:
  mil::Type port_type(mil::ValueId id) const override { return original_.values[id].type; }

  View enter(const View& port, mil::ValueId id) override {
    if (port.dtype != DType::FP16) return port;
    Site* site = numerics_.add(original_.values[id].name, "input", port.elements());
    site->input = true;
    return b.settle(b.convert(port, DType::FP32), {}, site);
  }

  void import_op(const mil::Op& op) override {
    const size_t first = graph_.nodes.size();
    site_ = nullptr;
    // Sums of their own are kept in float16; those inside of other operations are not known to be.
    constexpr std::array<std::string_view, 3> kNarrow = {"reduce_sum", "reduce_mean", "reduce_sum_square"};
    if (std::ranges::find(kNarrow, op.schema->name) != kNarrow.end()) {
      b.narrow_sums(site_of(op));
      site_->narrow = true;
    }
    Importer::import_op(op);
    b.narrow_sums(nullptr);
    mend(op);
    settle(op, first);
  }

  Site* site_of(const mil::Op& op) {
    const mil::Value& result = f.values[op.results[0]];
    if (site_ == nullptr) site_ = numerics_.add(result.name, std::string(op.schema->name), result.type.elements());
    return site_;
  }

  // Results that the engine gets wrong.
  void mend(const mil::Op& op) {
    const std::string_view name = op.schema->name;
    const auto replace = [&](MapOp test, const View& x, double bound, double by) {
      const View there = b.compare(test, x, b.scalar(DType::FP32, bound));
      set(op, b.select(there, b.scalar(DType::FP32, by), view(op.results[0])));
    };
    if (name == "log") {
      replace(MapOp::EQ, view(op.results[0]), -INFINITY, kLogOfZero);
      replace(MapOp::EQ, view(op.results[0]), INFINITY, 0.0);
    } else if (name == "softplus") {
      replace(MapOp::GE, in(op, "x"), kSoftplusEnd, 0.0);
    }
  }

  void settle(const mil::Op& op, size_t first) {
    Work work = Work::EXACT;
    for (size_t n = first; n < graph_.nodes.size(); ++n) work = std::max(work, work_of(graph_, graph_.nodes[n]));
    if (work == Work::EXACT || type(op).dtype != DType::FP32) return;
    Site* site = site_of(op);
    if (work == Work::PRODUCT) site->limit = kProductLimit;
    set(op, b.settle(view(op.results[0]), work == Work::ELEMENTWISE ? operands(op) : std::vector<View>{}, site));
  }

  // Constants are finite, and need not be looked at.
  std::vector<View> operands(const mil::Op& op) {
    std::vector<View> out;
    for (const mil::Operand& operand : op.operands) {
      const mil::Value& value = f.values[operand.values[0]];
      if (value.type.dtype == DType::FP32 && value.constant == nullptr) out.push_back(view(operand.values[0]));
    }
    return out;
  }

  const mil::Function& original_;
  Graph& graph_;
  Numerics& numerics_;
  Site* site_ = nullptr;  // of the operation that is being imported, once it has one
};

}  // namespace

void import_for_engine(const mil::Function& function, Plans& plans, Graph* graph) {
  const mil::Function wide = widened(function);
  EngineImporter(function, wide, plans, graph).run();
}

}  // namespace anesdk::cpu
