// mil::Function -> Graph, one operation at a time.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cpu/import/builder.h"
#include "mil/opset.h"

namespace anesdk::cpu {

class Importer {
 public:
  Importer(const mil::Function& function, Plans& plans, Graph* graph);
  virtual ~Importer() = default;
  void run();

  // For the handlers of operations.
  Builder b;
  const mil::Function& f;

  bool has(const mil::Op& op, std::string_view name) const { return f.find(op, name) != nullptr; }
  View in(const mil::Op& op, std::string_view name) { return view(f.find(op, name)->values.at(0)); }
  std::vector<View> list(const mil::Op& op, std::string_view name);
  View view(mil::ValueId id);
  // A const, or what a handler has computed of consts when the program was compiled.
  const mil::Value& constant(const mil::Op& op, std::string_view name) const;
  void set_constant(const mil::Op& op, std::shared_ptr<const mil::Constant> constant, size_t result = 0);
  void set(const mil::Op& op, const View& view, size_t result = 0) { views_[op.results.at(result)] = view; }
  const mil::Type& type(const mil::Op& op, size_t result = 0) const { return f.values[op.results.at(result)].type; }
  // Consts with a default for an absent operand.
  std::vector<int64_t> ints(const mil::Op& op, std::string_view name) const { return f.ints(op, name); }
  int64_t integer(const mil::Op& op, std::string_view name, int64_t missing) const;
  double real(const mil::Op& op, std::string_view name, double missing) const;
  bool flag(const mil::Op& op, std::string_view name, bool missing = false) const;
  std::string text(const mil::Op& op, std::string_view name, const std::string& missing) const;
  // The permutation that every user of the result applies to it, or the identity.
  std::vector<int64_t> read_order(const mil::Op& op) const;

 protected:
  virtual void import_op(const mil::Op& op);
  // An input or output as the caller has it, and what an input is inside.
  virtual mil::Type port_type(mil::ValueId id) const { return f.values[id].type; }
  virtual View enter(const View& port, mil::ValueId) { return port; }

 private:
  void import_kernel(const mil::Op& op);
  bool import_control(const mil::Op& op);      // false: another kind of operation
  void import_convolution(const mil::Op& op);  // import/conv.cpp
  // A node for a kernel of the registry; `operand` gives the views of function's values.
  std::vector<View> add_kernel(const mil::Function& function, const mil::Op& op,
                               const std::function<View(mil::ValueId)>& operand);
  // Dense tensors for the results of `op`, as the node's outputs.
  std::vector<View> add_results(const mil::Function& function, const mil::Op& op, Node* node);
  void bind_inputs();
  void bind_outputs();

  Plans& plans_;
  Graph& graph_;
  std::unordered_map<mil::ValueId, View> views_;
  std::unordered_map<mil::ValueId, mil::Value> computed_;
  std::unordered_map<mil::ValueId, std::vector<const mil::Op*>> users_;
  View last_message_;  // what the last operation between processes made, if any
};

using Handler = void (*)(Importer&, const mil::Op&);
using Handlers = std::map<std::string_view, Handler>;  // by the operation's name
const Handlers& elementwise_handlers();                // import/elementwise.cpp
const Handlers& aj_handlers();                         // import/aj.cpp
const Handlers& mil_handlers();                        // import/mil.cpp
const Handlers& layer_handlers();                      // import/layers.cpp
const Handlers& activation_handlers();                 // import/activations.cpp
const Handlers& weight_handlers();                     // import/weights.cpp
const Handlers& process_handlers();                    // import/processes.cpp

// The function with the engine's numerics (import/engine.cpp).
void import_for_engine(const mil::Function& function, Plans& plans, Graph* graph);

// -1 counts from the back.
inline int64_t axis_of(int64_t axis, size_t rank) { return axis < 0 ? axis + static_cast<int64_t>(rank) : axis; }

}  // namespace anesdk::cpu
