// aj_process_sum: messages that set out as soon as their arrays are there, and are waited for when nothing else is
// left.
#include "processes.h"

#include <algorithm>

#include "cpu/import/importer.h"
#include "cpu/steps/kernel_step.h"

namespace anesdk::cpu {
namespace {

// inputs: the arrays; output: the number of the message.
class StartSum final : public Kernel {
 public:
  StartSum(DType dtype, std::vector<size_t> bytes) : dtype_(dtype), bytes_(std::move(bytes)) {}

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    std::vector<processes::Piece> pieces;
    for (size_t i = 0; i < bytes_.size(); ++i) pieces.push_back({inputs[i], nullptr, bytes_[i]});
    *static_cast<int64_t*>(outputs[0]) = processes::start_sum(pieces, dtype_);
  }

 private:
  DType dtype_;
  std::vector<size_t> bytes_;
};

// input: the number of the message; outputs: the sums.
class FinishSum final : public Kernel {
 public:
  explicit FinishSum(std::vector<size_t> bytes) : bytes_(std::move(bytes)) {}

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    std::vector<processes::Piece> pieces;
    for (size_t i = 0; i < bytes_.size(); ++i) pieces.push_back({nullptr, outputs[i], bytes_[i]});
    processes::finish_sum(*static_cast<const int64_t*>(inputs[0]), pieces);
  }

 private:
  std::vector<size_t> bytes_;
};

Node kernel_node(const char* name, std::unique_ptr<const Kernel> kernel, Turn turn) {
  Node node;
  node.kind = NodeKind::KERNEL;
  node.kernel = std::make_shared<PreparedKernel>(PreparedKernel{name, std::move(kernel)});
  node.turn = turn;
  return node;
}

// The sums `which` of `op`, as one message.
void add_sum(Importer& in, const mil::Op& op, const std::vector<View>& values, const std::vector<size_t>& which) {
  std::vector<size_t> bytes;
  for (const size_t i : which) bytes.push_back(in.type(op, i).nbytes());
  const TensorId message = in.b.tensor(DType::INT64, 1);
  const DType dtype = in.type(op).dtype;
  Node start = kernel_node("aj_process_sum start", std::make_unique<StartSum>(dtype, bytes), Turn::FIRST);
  for (const size_t i : which) start.inputs.push_back(in.b.dense(values[i]));
  start.outputs = {message};
  in.b.add_message(std::move(start));
  Node finish = kernel_node("aj_process_sum finish", std::make_unique<FinishSum>(bytes), Turn::LAST);
  finish.inputs = {dense_view(message, DType::INT64, {1})};
  for (const size_t i : which) {
    const mil::Type& type = in.type(op, i);
    finish.outputs.push_back(in.b.tensor(type.dtype, type.elements()));
    in.set(op, dense_view(finish.outputs.back(), type.dtype, type.shape), i);
  }
  in.b.add(std::move(finish));
}

// Arrays go in the order in which the program makes them, in messages of about bucket_bytes().
void sum(Importer& in, const mil::Op& op) {
  const std::vector<View> values = in.list(op, "values");
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (processes::size() == 1) {
    for (const size_t i : order) in.set(op, values[i], i);
    return;
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i].base < values[j].base; });
  std::vector<size_t> which;
  size_t bytes = 0;
  for (const size_t i : order) {
    which.push_back(i);
    bytes += in.type(op, i).nbytes();
    if (bytes < processes::bucket_bytes()) continue;
    add_sum(in, op, values, which);
    which.clear();
    bytes = 0;
  }
  if (!which.empty()) add_sum(in, op, values, which);
}

}  // namespace

const Handlers& process_handlers() {
  static const Handlers handlers = {{"aj_process_sum", sum}};
  return handlers;
}

}  // namespace anesdk::cpu
