// Messages that set out as soon as their arrays are there, and are waited for when nothing else is left:
// aj_process_sum, _gather, _join and _exchange.
#include "processes.h"

#include <algorithm>

#include "cpu/import/importer.h"
#include "cpu/kernels/shapes.h"
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

// input: an array; output: the number of the message.
class StartSpread final : public Kernel {
 public:
  using Start = int64_t (*)(const void* from, size_t bytes);
  StartSpread(Start start, size_t bytes) : start_(start), bytes_(bytes) {}

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    *static_cast<int64_t*>(outputs[0]) = start_(inputs[0], bytes_);
  }

 private:
  Start start_;
  size_t bytes_;  // of a block
};

// input: the number of the message; outputs: the arrays that came.
class Finish final : public Kernel {
 public:
  explicit Finish(std::vector<size_t> bytes) : bytes_(std::move(bytes)) {}

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    std::vector<processes::Piece> pieces;
    for (size_t i = 0; i < bytes_.size(); ++i) pieces.push_back({nullptr, outputs[i], bytes_[i]});
    processes::finish(*static_cast<const int64_t*>(inputs[0]), pieces);
  }

 private:
  std::vector<size_t> bytes_;
};

Node kernel_node(const std::string& name, std::unique_ptr<const Kernel> kernel, Turn turn) {
  Node node;
  node.kind = NodeKind::KERNEL;
  node.kernel = std::make_shared<PreparedKernel>(PreparedKernel{name, std::move(kernel)});
  node.turn = turn;
  return node;
}

// The message that `start` makes of `arrays`, whose results are those of `op` in `which`.
void add_message(Importer& in, const mil::Op& op, std::unique_ptr<const Kernel> start, const std::vector<View>& arrays,
                 const std::vector<size_t>& which) {
  const std::string name(op.schema->name);
  const TensorId message = in.b.tensor(DType::INT64, 1);
  Node first = kernel_node(name + " start", std::move(start), Turn::FIRST);
  for (const View& array : arrays) first.inputs.push_back(in.b.dense(array));
  first.outputs = {message};
  in.b.add_message(std::move(first));
  std::vector<size_t> bytes;
  for (const size_t i : which) bytes.push_back(in.type(op, i).nbytes());
  Node last = kernel_node(name + " finish", std::make_unique<Finish>(std::move(bytes)), Turn::LAST);
  last.inputs = {dense_view(message, DType::INT64, {1})};
  for (const size_t i : which) {
    const mil::Type& type = in.type(op, i);
    last.outputs.push_back(in.b.tensor(type.dtype, type.elements()));
    in.set(op, dense_view(last.outputs.back(), type.dtype, type.shape), i);
  }
  in.b.add(std::move(last));
}

// The sums `which` of `op`, as one message.
void add_sum(Importer& in, const mil::Op& op, const std::vector<View>& values, const std::vector<size_t>& which) {
  std::vector<size_t> bytes;
  std::vector<View> arrays;
  for (const size_t i : which) {
    bytes.push_back(in.type(op, i).nbytes());
    arrays.push_back(values[i]);
  }
  add_message(in, op, std::make_unique<StartSum>(in.type(op).dtype, std::move(bytes)), arrays, which);
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

// A block from each process, or for each and from each. The program may have been made for another number of processes.
template <StartSpread::Start start>
void spread(Importer& in, const mil::Op& op) {
  const auto count = static_cast<size_t>(processes::size());
  const View x = in.in(op, "x");
  const mil::Type &type = in.type(op), &given = in.f.value(op, "x").type;
  const size_t bytes = type.nbytes() / count;
  const bool gathers = start != processes::start_exchange;
  expect(type.nbytes() == bytes * count && given.nbytes() == (gathers ? bytes : bytes * count) &&
             (gathers || given.shape.at(0) % processes::size() == 0),
         op.schema->name, "expected one block for each of " + std::to_string(count) + " processes.");
  if (count == 1) return in.set(op, in.b.reshape(x, type.shape));
  add_message(in, op, std::make_unique<StartSpread>(start, bytes), {x}, {0});
}

}  // namespace

const Handlers& process_handlers() {
  static const Handlers handlers = {{"aj_process_sum", sum},
                                    {"aj_process_gather", spread<processes::start_gather>},
                                    {"aj_process_join", spread<processes::start_gather>},
                                    {"aj_process_exchange", spread<processes::start_exchange>}};
  return handlers;
}

}  // namespace anesdk::cpu
